//! The frame decoder: whatever bytes come, in whatever pieces, nothing panics, and how they were cut makes no
//! difference to what they mean. The first byte says how many of the next are lengths of pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else { return };
    let (pieces, bytes) = rest.split_at(usize::from(*count).min(rest.len()));
    let whole = gateway::fuzzing::inbound(bytes, &[]);
    assert_eq!(gateway::fuzzing::inbound(bytes, pieces), whole);
    assert_eq!(gateway::fuzzing::inbound(bytes, &vec![1; bytes.len()]), whole);
});
