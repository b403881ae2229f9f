//! C ABI: headers, symbols, contract.
