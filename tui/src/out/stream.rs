//! `--stream`: everything that is heard, a line of JSON each, until somebody interrupts or stops reading.

use super::{CLOSING, query};
use crate::{
    cli::Cli,
    config::Settings,
    model::{Lists, Slot},
    net::Net,
    record::{self, Recorder},
};
use shared::lifecycle::Lifecycle;
use std::{
    io::{ErrorKind, Write as _},
    process::ExitCode,
};
use tokio::time::Instant;

/// See the module.
pub(crate) async fn stream(cli: &Cli, settings: &Settings) -> anyhow::Result<ExitCode> {
    let life = Lifecycle::new();
    let mut recorder = cli.record.as_deref().map(Recorder::create).transpose()?;
    let mut net = Net::start(cli.place(settings, settings.context.as_deref()), &settings.operator, &life);
    let (mut lists, began) = (Lists::default(), Instant::now());
    lists.want(query(cli)?.into_iter().map(|query| (Slot::MAIN, query)).collect());
    let wanted = lists.subscriptions();
    net.want(wanted.clone());
    let asked = record::asked(&wanted, began.elapsed()).filter(|_| !wanted.is_empty());
    let outcome = tokio::select! {
        outcome = async {
            print(asked, &mut recorder)?;
            while let Some(event) = net.events.recv().await {
                print(record::line(&event, began.elapsed()), &mut recorder)?;
            }
            Ok(())
        } => outcome,
        interrupted = tokio::signal::ctrl_c() => interrupted,
    };
    drop(net);
    life.shutdown(CLOSING).await;
    if let Some(recorder) = &mut recorder {
        recorder.flush()?;
    }
    match outcome {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        outcome => Ok(outcome.map(|()| ExitCode::SUCCESS)?),
    }
}

fn print(line: Option<String>, recorder: &mut Option<Recorder>) -> std::io::Result<()> {
    let Some(line) = line else { return Ok(()) };
    if let Some(recorder) = recorder {
        recorder.add(Some(line.clone()))?;
    }
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}
