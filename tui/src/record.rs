//! Recordings: a line of JSON for everything that was heard, with the time since the console began. `--stream` prints
//! the same lines, so that its output can be replayed.
//!
//! ```text
//! {"schema_version":1,"t_ms":1003,"link":"api","said":{"type":"tick",…}}
//! {"schema_version":1,"t_ms":9120,"link":"api","down":{"why":"it closed the link","retry_in_ms":412}}
//! {"schema_version":1,"t_ms":9300,"asked":[{"id":3,"query":{"view":"rooms","limit":100},"every_ms":1000}]}
//! ```
//!
//! Nothing in it is secret that the console does not show; tokens are never in it. A reader passes over lines that it
//! does not understand, as the last one when the console was killed while writing.

use crate::{
    app::Recorded,
    figures::is_hostile,
    model::{Event, Moment, What},
};
use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use shared::protocol::admin::{Message, Subscribe};
use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::Path,
    time::Duration,
};

/// Version of the shape.
const SCHEMA_VERSION: u32 = 1;
/// Longest line read; longer ones are no line of ours.
const LINE_BYTES: u64 = 8 << 20;
/// Most lines read: a day of three nodes.
const MOST_LINES: usize = 300_000;

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    schema_version: u32,
    t_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<Box<Message>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    down: Option<Down>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<Vec<Subscribe>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Down {
    why: String,
    retry_in_ms: u64,
}

fn blank(at: Moment) -> Line {
    let t_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
    Line { schema_version: SCHEMA_VERSION, t_ms, link: None, said: None, down: None, asked: None }
}

/// An event as a line; none for what is not worth one.
pub(crate) fn line(event: &Event, at: Moment) -> Option<String> {
    let line = match &event.what {
        What::Said(said) => Line { said: Some(said.clone()), ..blank(at) },
        What::Down { why, retry_in } => {
            let retry_in_ms = u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX);
            Line { down: Some(Down { why: why.clone(), retry_in_ms }), ..blank(at) }
        }
        What::Connecting | What::Acted { .. } => return None,
    };
    written(&Line { link: Some(event.link.clone()), ..line })
}

/// What was asked for, as a line.
pub(crate) fn asked(asked: &[Subscribe], at: Moment) -> Option<String> {
    written(&Line { asked: Some(asked.to_vec()), ..blank(at) })
}

fn written(line: &Line) -> Option<String> {
    Some(escaped(&serde_json::to_string(line).ok()?) + "\n")
}

/// JSON allows some characters as they are that a terminal would obey: DEL, the C1 set, changes of direction.
pub(crate) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c != '\n' && is_hostile(c) {
            write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes any text");
        } else {
            out.push(c);
        }
    }
    out
}

/// A recording that is being written. What cannot be written ends it: better no recording than one with holes.
#[derive(Debug)]
pub(crate) struct Recorder(BufWriter<File>);

impl Recorder {
    /// Begins a recording; a file that is there already is not written over.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create_new(path).with_context(|| format!("failed to create {}", path.display()))?;
        Ok(Self(BufWriter::new(file)))
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, line: Option<String>) -> std::io::Result<()> {
        match line {
            Some(line) => self.0.write_all(line.as_bytes()),
            None => Ok(()),
        }
    }

    /// Writes what is still held back.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Reads a recording.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<(Moment, Recorded)>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("failed to open {shown}"))?;
    let (mut reader, mut lines) = (BufReader::new(file), Vec::new());
    loop {
        let mut text = Vec::new();
        let read = reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut text);
        if read.with_context(|| format!("failed to read {shown}"))? == 0 || lines.len() == MOST_LINES {
            break;
        }
        lines.extend(serde_json::from_slice::<Line>(&text).ok().and_then(understood));
    }
    ensure!(!lines.is_empty(), "{shown} is no recording, or an empty one");
    lines.sort_by_key(|(at, _)| *at);
    Ok(lines)
}

fn understood(line: Line) -> Option<(Moment, Recorded)> {
    let Line { schema_version, t_ms, link, said, down, asked } = line;
    if schema_version != SCHEMA_VERSION {
        return None;
    }
    let what = match (said, down, asked) {
        (Some(said), None, None) => What::Said(said),
        (None, Some(Down { why, retry_in_ms }), None) => {
            What::Down { why, retry_in: Duration::from_millis(retry_in_ms) }
        }
        (None, None, Some(asked)) => return Some((Moment::from_millis(t_ms), Recorded::Asked(asked))),
        _ => return None,
    };
    Some((Moment::from_millis(t_ms), Recorded::Event(Event { link: link?, what })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    #[test]
    fn a_recording_reads_back_and_what_is_no_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.ndjson");
        let mut recorder = Recorder::create(&path).unwrap();
        let event = Event::said("api\u{9b}2J", Message::Tick(Box::new(samples::tick("api", 1))));
        recorder.add(line(&event, Moment::from_millis(1_003))).unwrap();
        recorder.add(line(&Event { link: "api".into(), what: What::Connecting }, Moment::ZERO)).unwrap();
        recorder.add(Some("{\"half\":".into())).unwrap();
        recorder.flush().unwrap();
        let lines = read(&path).unwrap();
        let [(at, Recorded::Event(read))] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((at.as_millis(), read.link.as_str()), (1_003, "api\u{9b}2J"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\\u009b") && text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        assert!(Recorder::create(&path).is_err(), "a recording is never written over");
    }
}
