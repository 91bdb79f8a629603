//! What must not compile: every way around the gate that somebody might try.

#[test]
fn there_is_no_second_way_in() {
    trybuild::TestCases::new().compile_fail("tests/misuse/*.rs");
}
