//! The context that agents share, where it is hardest: servers that die, many who write at once, clients that do not read, and
//! those who send what nobody should.

mod at_once;
mod hostile;
mod kill;
mod streams;
