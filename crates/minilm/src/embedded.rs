//! The packed weights as bytes of the program, if the feature `weights` is on.

#[cfg(feature = "weights")]
pub const FILE: Option<&[u8]> = {
    /// On a cache line's boundary, as the sections inside are, so that no load of a panel straddles two.
    #[repr(C, align(64))]
    struct Aligned<T: ?Sized>(T);

    static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!("../weights/all-MiniLM-L6-v2.int8.bin"));
    Some(&ALIGNED.0)
};

#[cfg(not(feature = "weights"))]
pub const FILE: Option<&[u8]> = None;
