//! The terminal: everything is entered once and left once, whatever happens.
//!
//! ratatui's own `restore` leaves mouse capture, bracketed paste and focus events on and the cursor hidden, and its panic
//! hook lets the main loop draw on after a task has died. Hence an own hook that restores everything and then exits.

mod signals;

pub(crate) use signals::Signals;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crossterm::{
    cursor::{Hide, Show},
    event::{DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture},
    execute, queue,
    style::ResetColor,
    terminal::{
        BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode,
    },
};
use ratatui::{Frame, Terminal, backend::CrosstermBackend, buffer::Buffer};
use std::{
    io::{self, BufWriter, Stdout, Write as _},
    sync::Once,
};

/// Exit code after a bug, as Rust's own.
const PANICKED: i32 = 101;

type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// The terminal while the console has it; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Term {
    terminal: Screen,
    mouse: bool,
    /// What was drawn last.
    last: Buffer,
}

impl Term {
    /// Takes the terminal over.
    pub(crate) fn enter(mouse: bool) -> io::Result<Self> {
        hook();
        // From here on something has to be left: the guard comes first.
        let guard = Restore;
        take_over(mouse)?;
        let terminal = screen()?;
        std::mem::forget(guard);
        Ok(Self { terminal, mouse, last: Buffer::default() })
    }

    /// Draws one frame, shown as a whole.
    pub(crate) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        let drawn = self.terminal.draw(render)?;
        self.last.clone_from(drawn.buffer);
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// What was drawn last, as text.
    pub(crate) fn picture(&self) -> String {
        let width = usize::from(self.last.area.width).max(1);
        let row = |cells: &[ratatui::buffer::Cell]| {
            let text: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
            text.trim_end().to_owned() + "\n"
        };
        self.last.content.chunks(width).map(row).collect()
    }

    /// Listens to the mouse, or leaves it to the terminal.
    pub(crate) fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { execute!(io::stdout(), EnableMouseCapture) } else { execute!(io::stdout(), DisableMouseCapture) }
    }

    /// Puts text on the clipboard of whoever sits at the terminal, also over SSH (OSC 52).
    pub(crate) fn copy(text: &str) -> io::Result<()> {
        let mut out = io::stdout();
        write!(out, "\x1b]52;c;{}\x07", STANDARD.encode(text))?;
        out.flush()
    }

    /// Gives the terminal back, stops the process, and takes the terminal over again when it goes on.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        restore();
        signals::stop()?;
        take_over(self.mouse)?;
        // Not `clear`: it asks the terminal where the cursor is, and the answer would go to whoever reads the keys.
        self.terminal = screen()?;
        Ok(())
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        restore();
    }
}

/// An empty screen: the next frame is drawn as a whole.
fn screen() -> io::Result<Screen> {
    Terminal::new(CrosstermBackend::new(BufWriter::new(io::stdout())))
}

struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        restore();
    }
}

fn take_over(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)?;
    if mouse { execute!(io::stdout(), EnableMouseCapture) } else { Ok(()) }
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

/// Panics once the screen is up: in a task of its own, or right here.
#[cfg(debug_assertions)]
pub(crate) fn break_on_purpose(place: Option<&str>, life: &shared::lifecycle::Lifecycle) {
    match place {
        None => {}
        Some("task") => drop(life.tracker().spawn(async { panic!("broken on purpose in a task") })),
        Some(place) => panic!("broken on purpose in a {place}"),
    }
}
