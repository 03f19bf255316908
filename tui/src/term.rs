//! The terminal: everything is entered once and left once, whatever happens.
//!
//! ratatui's own `restore` leaves mouse capture, bracketed paste and focus events on and the cursor hidden, and its panic
//! hook lets the main loop draw on after a task has died. Hence an own hook that restores everything and then exits.

use crossterm::{
    cursor::{Hide, Show},
    event::{DisableBracketedPaste, DisableFocusChange, DisableMouseCapture},
    execute, queue,
    style::ResetColor,
    terminal::{
        BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode,
    },
};
use ratatui::{Frame, Terminal, backend::CrosstermBackend};
use std::{
    io::{self, BufWriter, Stdout, Write as _},
    sync::Once,
};

/// Exit code after a bug, as Rust's own.
const PANICKED: i32 = 101;

/// The terminal while the console has it; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Term {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Term {
    /// Takes the terminal over.
    pub(crate) fn enter() -> io::Result<Self> {
        hook();
        enable_raw_mode()?;
        // From here on something has to be left: the guard comes first.
        let guard = Restore;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::new(io::stdout())))?;
        std::mem::forget(guard);
        Ok(Self { terminal })
    }

    /// Draws one frame, shown as a whole.
    pub(crate) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(render)?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        restore();
    }
}

struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        restore();
    }
}

/// Leaves everything that was or could have been entered. Errors are passed over: there is nobody left to tell.
fn restore() {
    let _ = disable_raw_mode();
    let _ = execute!(
        io::stdout(),
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        DisableFocusChange,
        ResetColor,
        LeaveAlternateScreen,
        Show
    );
    let _ = io::stdout().flush();
}

/// Restores the terminal before the message of a panic is printed, and ends the process after it, whichever task it was.
fn hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            print(info);
            std::process::exit(PANICKED);
        }));
    });
}
