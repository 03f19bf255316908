//! The command parser: whatever text comes, it is read or refused, and what is read keeps the rules that the rest of
//! the gateway relies on.
#![no_main]

use shared::protocol::{
    Command, Frame, Position, RoomName,
    command::{BODY_BYTES, is_device},
    event::Event,
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let frame = Frame::parse(text);
    if let Some(id) = frame.id {
        assert!(id.get().len() <= 128 && (id.get().starts_with('"') || !id.get().starts_with(['{', '['])));
        // The echo must be a frame of one line again.
        let pong = Event::Pong { id: Some(id), t: None }.encode();
        assert!(serde_json::from_str::<serde_json::Value>(&pong).is_ok() && !pong.contains('\n'), "{pong}");
    }
    match frame.command {
        Err(problem) => assert!(problem.to_string().len() < 1_000 && !problem.code().is_empty()),
        Ok(Command::Auth(auth)) => {
            assert!(auth.device.is_none_or(|device| is_device(&device)));
            for (room, pos) in &auth.rooms {
                canonical(room, *pos);
            }
        }
        Ok(Command::Join(join)) => canonical(&join.room, join.pos),
        Ok(Command::Leave(in_room) | Command::Typing(in_room)) => canonical(&in_room.room, None),
        Ok(Command::Send(send)) => {
            canonical(&send.room, None);
            assert!(serde_json::from_str::<serde_json::Value>(send.data.get()).is_ok(), "others can read it");
        }
        Ok(Command::Message(message)) => assert!((1..=BODY_BYTES).contains(&message.body.len())),
        Ok(_) => {}
    }
});

/// One spelling per room and per position: the text is a key.
fn canonical(room: &RoomName, pos: Option<Position>) {
    assert_eq!(room.as_str().parse::<RoomName>().as_ref(), Ok(room));
    let _kind = room.kind();
    if let Some(pos) = pos {
        assert_eq!(pos.to_string().parse::<Position>(), Ok(pos));
    }
}
