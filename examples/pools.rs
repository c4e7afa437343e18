//! Shows who holds a pool's five connections, for how long and who waits: before, in and after an exhaustion, which one
//! job causes that gives nothing back. A manual clock makes time pass at once.
//!
//! `cargo run --example pools --features testing`

use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Held, Holder, Holders, HoldersReport};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, TryAcquireError};
use tokio::task::{JoinSet, yield_now};

/// Stands in for a pool of connections.
static POOL: Semaphore = Semaphore::const_new(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match run(&mut stdout()).await {
        // A reader like `head` may stop early.
        Err(error) if is_closed(&*error) => Ok(()),
        ended => ended,
    }
}

async fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let (agent, clock) = (Capture::new(), ManualClock::new());
    let guard = Client::builder().capture(&agent).clock(&clock).build()?;
    let holders = Holders::builder(guard.client(), "primary").capacity(5).register(10);
    let [checkout, mail, reports] = ["checkout", "mail", "reports"].map(|name| holders.of(name));

    let sent = acquire(&mail).await?;
    let mut leaked = vec![acquire(&reports).await?, acquire(&reports).await?];
    clock.advance(Duration::from_secs(30));
    print(out, "before: there are connections left, and reports gives none back", &holders.report())?;

    leaked.extend([acquire(&reports).await?, acquire(&reports).await?]);
    let mut customers = JoinSet::new();
    for _ in 0..12 {
        let checkout = checkout.clone();
        customers.spawn(async move { acquire(&checkout).await.is_ok() });
    }
    yield_now().await;
    let wait = mail.wait();
    clock.advance(Duration::from_secs(30));
    print(out, "in it: nobody gets a connection, and the oldest holds say why", &holders.report())?;
    let late = wait.ended(POOL.try_acquire(), |error| *error == TryAcquireError::NoPermits);
    if let Err(error) = late {
        writeln!(out, "\nand the log: mail: {error}: {}", holders.report())?;
    }

    drop((leaked, sent));
    while customers.join_next().await.transpose()? == Some(true) {}
    print(out, "after: all is given back", &holders.report())?;
    Ok(())
}

async fn acquire(holder: &Holder) -> Result<Held<SemaphorePermit<'static>>, AcquireError> {
    holder.wait_for(POOL.acquire(), |_| false).await
}

fn print(out: &mut impl Write, title: &str, report: &HoldersReport) -> io::Result<()> {
    writeln!(out, "\n{title}\n  {:<10} {:>4} {:>10} {:>8}", "holder", "held", "oldest", "waiting")?;
    for holder in report.holders.iter().filter(|holder| holder.name != "other") {
        let oldest = holder.oldest.map_or_else(|| "–".to_owned(), |age| format!("{} s", age.as_secs()));
        writeln!(out, "  {:<10} {:>4} {oldest:>10} {:>8}", holder.name, holder.held, holder.waiting)?;
    }
    Ok(())
}

fn is_closed(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
