//! The testbed does what tests believe it does.

mod postgres;
