//! A terminal with a person in front of it: `script` of util-linux gives the console a terminal of its own, a vt100
//! emulator remembers what is on its screen.
//!
//! Not portable-pty, the usual crate for this: it asks libc for its `extra_traits`, and with that cargo builds the whole
//! workspace a second time.

use std::{
    io::{Read as _, Write as _},
    num::NonZeroU16,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// Longest wait for anything on the screen. Generous: the machine may be doing other things.
const PATIENCE: Duration = Duration::from_secs(20);

/// The terminal's size; the shell below sets the same.
pub(crate) const ROWS: u16 = 30;
/// See [`ROWS`].
pub(crate) const COLUMNS: u16 = 100;

fn size(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).expect("a terminal has cells")
}

/// What the shell around the console does: it tells its number, and afterwards whether the terminal is as it was.
const AROUND: &str = r#"
stty cols 100 rows 30
before=$(stty -g)
sh -c 'echo $$ >"$0"; exec "$@"' "$PID_FILE" "$CONSOLE" "$@"
echo "code $?"
[ "$before" = "$(stty -g)" ] && echo "modes restored"
echo over
"#;

/// See the module.
pub(crate) struct Terminal {
    child: Child,
    stdin: ChildStdin,
    bytes: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    /// Everything that came, as it came.
    pub(crate) raw: Vec<u8>,
    folder: tempfile::TempDir,
}

impl Terminal {
    /// Starts the console with these arguments and variables; none where there is no `script`.
    pub(crate) fn start(data_dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let around = folder.path().join("around.sh");
        std::fs::write(&around, AROUND).unwrap();
        let quoted: Vec<String> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
        let line = format!("sh {} {}", around.display(), quoted.join(" "));
        let child = Command::new("script")
            .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env("HOME", folder.path())
            .env("USER", "amy")
            .env("DATA_DIR", data_dir)
            .env("CONSOLE", env!("CARGO_BIN_EXE_pitchey-tui"))
            .env("PID_FILE", folder.path().join("pid"))
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = shared_available(child)?;
        let (stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, bytes) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 8_192];
            while let Ok(read @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let parser = vt100::Parser::new(size(ROWS), size(COLUMNS), 200);
        Some(Self { child, stdin, bytes, parser, raw: Vec::new(), folder })
    }

    /// What is on the screen.
    pub(crate) fn shown(&self) -> String {
        self.parser.screen().contents()
    }

    /// The emulator.
    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Waits until the screen is as wanted; how long it took.
    pub(crate) fn until(&mut self, what: &str, mut wanted: impl FnMut(&vt100::Screen) -> bool) -> Duration {
        let began = Instant::now();
        while !wanted(self.parser.screen()) {
            let left = PATIENCE.checked_sub(began.elapsed()).unwrap_or_else(|| panic!("no {what}:\n{}", self.shown()));
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => {
                    self.parser.process(&bytes);
                    self.raw.extend(bytes);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without {what}:\n{}", self.shown()),
            }
        }
        began.elapsed()
    }

    /// Waits until this text is on the screen; how long it took.
    pub(crate) fn until_shown(&mut self, text: &str) -> Duration {
        self.until(text, |screen| screen.contents().contains(text))
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.stdin.write_all(keys.as_bytes()).unwrap();
        self.stdin.flush().unwrap();
    }

    /// Sends the console a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits until the kernel has stopped the console: what it drew last comes before that.
    pub(crate) fn until_stopped(&mut self) {
        let stat = format!("/proc/{}/stat", self.pid());
        let stopped = || std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") T "));
        let began = Instant::now();
        while !stopped() {
            assert!(began.elapsed() < PATIENCE, "it did not stop");
            if let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(10)) {
                self.parser.process(&bytes);
            }
        }
    }

    /// The console's process.
    pub(crate) fn pid(&self) -> String {
        std::fs::read_to_string(self.pid_file()).unwrap().trim().to_owned()
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    /// Waits for the end: the console's exit code, after checking that it left the terminal as it was.
    pub(crate) fn left(&mut self) -> i32 {
        self.until_shown("over");
        let (shown, screen) = (self.shown(), self.parser.screen());
        assert!(shown.contains("modes restored"), "raw mode is still on:\n{shown}");
        assert!(!screen.alternate_screen(), "the alternate screen is still on");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste is still on");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is still captured");
        let code = shown.lines().find_map(|line| line.trim().strip_prefix("code ")).expect("the shell told the code");
        code.trim().parse().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A missing `script` is said loudly; in CI it is a failure.
fn shared_available(child: std::io::Result<Child>) -> Option<Child> {
    match child {
        Ok(child) => Some(child),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(option_env!("CI") != Some("true"), "script of util-linux is missing, and CI=true");
            eprintln!("\n*** SKIPPED: the console in a terminal is not tested: there is no script ***\n");
            None
        }
        Err(error) => panic!("script did not start: {error}"),
    }
}
