//! A process of ours: started, signalled, started again, and gone when we are, however that ends.
//!
//! Between us and the process stands a shell that takes orders from a pipe. Its writing end is ours alone (children do
//! not inherit it), so a dropped value, a panic and a `kill -9` of us look the same to the shell: the pipe breaks, and it
//! ends the process and removes the folder.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr},
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{net::TcpSocket, time::Instant};

/// Longest wait for a server or a set of them: seconds on an idle machine, and CI's are not idle.
pub(crate) const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How often a server is asked whether it is there yet.
const POLL: Duration = Duration::from_millis(20);

/// A loopback port that stays ours while this value lives, also while the server on it is down.
///
/// A socket is bound to it and never listens. That keeps the kernel from giving the port to anybody who asks for a free
/// one, and lets a server with `SO_REUSEADDR` (which they all set) listen on it, again and again.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _bound: TcpSocket,
}

impl Port {
    /// A free one.
    pub fn reserve() -> io::Result<Self> {
        let bound = TcpSocket::new_v4()?;
        bound.set_reuseaddr(true)?;
        bound.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { number: bound.local_addr()?.port(), _bound: bound })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Where to connect to.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// A folder for one server and the user it will run as; nothing runs yet.
#[derive(Debug)]
pub struct Setup {
    runner: Runner,
    folder: TempDir,
}

impl Setup {
    /// A temporary folder for a server that may run as root.
    pub fn new(name: &str) -> io::Result<Self> {
        Self::with(Runner(None), name)
    }

    /// The same for a server that refuses root: as root, it runs as `postgres` or `nobody`.
    pub fn unprivileged(name: &str) -> io::Result<Self> {
        Self::with(Runner::find()?, name)
    }

    fn with(runner: Runner, name: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("pitchey-{name}-")).tempdir()?;
        runner.give(folder.path())?;
        Ok(Self { runner, folder })
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file for the server to read, and to rewrite if it is one that does.
    pub fn write(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        let path = self.folder().join(name);
        fs::write(&path, content)?;
        self.runner.give(&path)?;
        Ok(path)
    }

    /// A program that is run once, before the server, with its words in the server's log.
    pub fn run(&self, command: &[&str]) -> io::Result<()> {
        let mut child = self.runner.command(command[0], self.folder());
        child.args(&command[1..]).stdin(Stdio::null()).stdout(self.log()?).stderr(self.log()?);
        if child.status().map_err(|error| named(command[0], &error))?.success() {
            return Ok(());
        }
        Err(failed(command[0], self.folder()))
    }

    /// The server's log. The server's shell opens it again, as the server's user.
    fn log(&self) -> io::Result<fs::File> {
        let path = self.folder().join("log");
        let log = fs::File::options().create(true).append(true).open(&path)?;
        self.runner.give(&path)?;
        Ok(log)
    }

    /// Prepares the server's shell. `ending` is the signal that ends the server with the test (`KILL`, or what lets it
    /// clean up what is outside of its folder).
    pub fn supervise(self, command: &[&str], ending: &str) -> io::Result<Supervised> {
        let program = in_path(command[0])?;
        let mut shell = self.runner.command("sh", self.folder());
        shell.arg("-c").arg(SUPERVISOR).arg("supervisor").arg(self.folder()).arg(ending);
        shell.arg(program).args(&command[1..]);
        // A group of its own: Ctrl-C must not end it before it has done its work.
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(self.log()?).process_group(0);
        let mut shell = shell.spawn()?;
        let orders = shell.stdin.take().expect("it is piped");
        let answers = BufReader::new(shell.stdout.take().expect("it is piped"));
        let pipes = Mutex::new(Some(Pipes { orders, answers, server: None }));
        // From here on the shell removes it.
        Ok(Supervised { folder: self.folder.keep(), shell, pipes })
    }
}

/// Obeys lines on its standard input, and answers each with one line; the end of the input is the last order.
const SUPERVISOR: &str = r#"
folder=$1 ending=$2; shift 2
server=
end() {
  [ -n "$server" ] || return
  kill -s CONT "$server"; kill -s "$1" "$server"; wait "$server"
  server=
}
while read -r order signal; do
  case $order in
    start) end KILL; "$@" </dev/null >>"$folder/log" 2>&1 & server=$! ;;
    signal) kill -s "$signal" "$server" ;;
    end) end "$signal" ;;
  esac
  echo "$server"
done
end "$ending"
rm -rf "$folder"
"#;

/// A server and its shell. Dropping it ends the server and removes its folder.
#[derive(Debug)]
pub struct Supervised {
    folder: PathBuf,
    shell: Child,
    /// `None` once the end began.
    pipes: Mutex<Option<Pipes>>,
}

#[derive(Debug)]
struct Pipes {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The server's process, which the shell has not waited for yet: the number is nobody else's.
    server: Option<u32>,
}

impl Supervised {
    /// Where its files are; `log` is among them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts the server, after a kill if it still runs, and returns at once.
    pub fn start(&self) {
        self.order("start");
    }

    /// Sends a signal and returns at once.
    pub fn signal(&self, signal: &str) {
        self.order(&format!("signal {signal}"));
    }

    /// Ends the server with a signal and waits until its process is gone, also if it is stopped.
    pub fn end(&self, signal: &str) {
        self.order(&format!("end {signal}"));
    }

    /// Waits until the server answers; fails with its last words if it ended instead.
    pub async fn until_ready(&self, mut ready: impl AsyncFnMut() -> bool) -> io::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !ready().await {
            if !self.is_running() || Instant::now() > deadline {
                return Err(failed("the server", &self.folder));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The server's process id, from its start until somebody waited for its end.
    pub fn pid(&self) -> Option<u32> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.server
    }

    /// Whether the server's process is there (a stopped one is).
    pub fn is_running(&self) -> bool {
        let Some(server) = self.pid() else { return false };
        // `pid (name) state …`; Z is one that ended and was not waited for.
        let stat = fs::read_to_string(format!("/proc/{server}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, state)| !state.trim_start().starts_with('Z'))
    }

    fn order(&self, order: &str) {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let pipes = pipes.as_mut().expect("only dropping takes them");
        writeln!(pipes.orders, "{order}").expect("the shell lives until its pipe breaks");
        let mut answer = String::new();
        pipes.answers.read_line(&mut answer).expect("the shell answers");
        pipes.server = answer.trim().parse().ok();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.pipes.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Err(error) = self.shell.wait() {
            eprintln!("a server was not waited for: {error}");
        }
    }
}

/// Asks again and again until the answer is yes; says what was waited for if it never is.
pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + START_TIMEOUT;
    while !done().await {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Who runs the server: this user, or an unprivileged one if this is root.
#[derive(Debug)]
struct Runner(Option<(u32, u32)>);

impl Runner {
    fn find() -> io::Result<Self> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(Self(None));
        }
        let passwd = fs::read_to_string("/etc/passwd")?;
        let ids = |name: &str| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        let found = ids("postgres").or_else(|| ids("nobody"));
        found.map(|ids| Self(Some(ids))).ok_or_else(|| io::Error::other("it refuses root, and there is no other user"))
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        match self.0 {
            Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder);
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// The program's file. Debian keeps servers where a user's path does not look.
fn in_path(program: &str) -> io::Result<PathBuf> {
    if program.contains('/') {
        return Ok(program.into());
    }
    let path = super::search_path();
    let mut folders = path.split(':').chain(["/usr/sbin"]);
    folders
        .find_map(|folder| Some(Path::new(folder).join(program)).filter(|file| file.is_file()))
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no {program} in PATH")))
}

fn named(program: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{program}: {error}"))
}

/// What went wrong, in the program's own last words.
pub(crate) fn failed(program: &str, folder: &Path) -> io::Error {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let last: Vec<_> = log.lines().rev().take(5).collect();
    io::Error::other(format!("{program} failed: {}", last.into_iter().rev().collect::<Vec<_>>().join(" | ")))
}
