//! Against the Linux kernel over a real TAP device.
