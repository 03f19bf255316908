//! `POST /admin/actions`: one request on a connection of its own. Not through the stream, because an action must have
//! an answer even when the stream is slow, and must not be sent twice when it heals.

use anyhow::{Context as _, bail, ensure};
use shared::protocol::admin::{ActionRequest, Job, OPERATOR_HEADER, Problem, ProblemBody, TokenFile};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longest time for the whole exchange: the server answers within half a second, done or under way.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES: u64 = 1 << 20;

/// Asks for an action: the job, or why not.
pub(super) async fn act(file: &TokenFile, operator: &str, request: &ActionRequest) -> Result<Job, ProblemBody> {
    let answer = match timeout(DEADLINE, exchange(file, operator, request)).await {
        Ok(answer) => answer.map_err(|error| problem("unavailable", &format!("{error:#}")))?,
        Err(_) => return Err(problem("unavailable", "no answer in time: look at the audit log whether it was done")),
    };
    let (status, body) = answer;
    if (200..300).contains(&status) {
        return serde_json::from_str(&body)
            .map_err(|error| problem("garbage", &format!("its answer is no job: {error}")));
    }
    match serde_json::from_str::<Problem>(&body) {
        Ok(problem) => Err(problem.error),
        Err(_) => Err(problem("garbage", &format!("it answered {status}"))),
    }
}

/// A problem of our own making.
pub(super) fn problem(code: &str, message: &str) -> ProblemBody {
    ProblemBody { code: code.to_owned(), message: message.to_owned(), matched: None }
}

async fn exchange(file: &TokenFile, operator: &str, request: &ActionRequest) -> anyhow::Result<(u16, String)> {
    let TokenFile { address, token, .. } = file;
    ensure!(token.bytes().all(|b| b.is_ascii_graphic()), "the token is not one");
    let body = serde_json::to_string(request).context("failed to write the request")?;
    let head = format!(
        "POST /admin/actions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{OPERATOR_HEADER}: {operator}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("failed to connect to {address}"))?;
    stream.write_all(head.as_bytes()).await.context("the link broke")?;
    stream.write_all(body.as_bytes()).await.context("the link broke")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await.context("the link broke")?;
    let answer = String::from_utf8(answer).context("its answer is no text")?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("its answer is cut off") };
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    let status = status.context("it does not speak HTTP")?;
    Ok((status, body.to_owned()))
}
