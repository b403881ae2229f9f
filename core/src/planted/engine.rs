//! Bugs of the loop: timers, turns, NICs, and the sockets of a program that is gone.

macro_rules! engine {
    ($next:ident $($rest:ident)* [$($bugs:tt)*]) => {
        $next! { $($rest)* [ $($bugs)*
            /// A deadline is not moved to an earlier time.
            LaterDeadlineStays "later-deadline-stays",
            /// When timers are spread over a lower level of the wheel, all but the first are lost.
            CascadeLosesOthers "cascade-loses-others",
            /// A NIC that was full is not asked again.
            FullNicForgotten "full-nic-forgotten",
            /// What a NIC has received beyond a burst waits for the next frame.
            OneBurstIsAll "one-burst-is-all",
            /// What was left over for the next step waits for news.
            NeverBusy "never-busy",
            /// Of the sockets of a program that is gone one is let go of.
            OneSocketLeaves "one-socket-leaves",
        ] }
    };
}
