//! Signals: those that end the console, and the one that stops it until the shell lets it go on.

use std::{io, process::ExitCode};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A process ended by a signal has this much more than the signal's number for an exit code.
const BY_SIGNAL: u8 = 128;

/// See the module.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    stop: Signal,
}

impl Signals {
    /// Takes the signals over.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: signal(SignalKind::from_raw(signal_hook::consts::SIGTSTP))?,
        })
    }

    /// The next signal: the code to end with, or none when it is the one that stops.
    pub(crate) async fn next(&mut self) -> Option<ExitCode> {
        let code =
            |kind: SignalKind| u8::try_from(kind.as_raw_value()).ok().map(|number| ExitCode::from(BY_SIGNAL + number));
        tokio::select! {
            _ = self.terminate.recv() => code(SignalKind::terminate()),
            _ = self.hang_up.recv() => code(SignalKind::hangup()),
            _ = self.interrupt.recv() => code(SignalKind::interrupt()),
            _ = self.stop.recv() => None,
        }
    }
}

/// Stops the process as if nobody had taken the signal over; returns when it goes on.
pub(super) fn stop() -> io::Result<()> {
    signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)
}
