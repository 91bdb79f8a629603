//! One connection, used from one thread at a time. It runs on a small event loop of its own, which turns only while somebody
//! waits for an answer: a caller that goes away in the midst leaves nothing half sent.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::{try_join, try_join_all};
use locule_core::{Code, Error, Result};
use lru::LruCache;
use tokio::runtime::Runtime;
use tokio::time::error::Elapsed;
use tokio_postgres::{Client, RowStream, Statement};

use super::address::{Address, Pooler};
use super::pulse::{Journey, Pulse};
use super::value::{Columns, Kept, Parameter};
use crate::error::{of_postgres, silent};
use crate::tx::{Owned, Row, Value};

/// How long an answer, or the next part of one, is waited for, if the work has not to be done sooner. Below the usual deadline
/// of a request, so that a database which has frozen is an error with a name and not a request that ran out of time.
const PATIENCE: Duration = Duration::from_secs(8);

/// How many statements a connection keeps prepared.
const STATEMENTS: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// A connection.
pub struct Connection {
    runtime: Runtime,
    client: Arc<Client>,
    /// What moves bytes. It ends when the other side has gone.
    link: RefCell<Link>,
    /// What is not waited for on its own, in the order in which it goes out. Its outcome is that of the next wait.
    ahead: RefCell<VecDeque<Ahead>>,
    pooler: Pooler,
    statements: RefCell<LruCache<String, Statement>>,
    spoiled: Cell<bool>,
    patience: Duration,
    pulse: Arc<Pulse>,
    /// How many silences there had been when it was opened.
    silences: u64,
}

type Link = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;
type Ahead = Link;

/// A statement with its values.
pub type Asked<'a> = (&'a str, &'a [Value<'a>]);

impl Connection {
    /// Connects.
    #[expect(clippy::disallowed_methods, reason = "the home of connecting")]
    pub fn open(address: &Address, pooler: Pooler) -> Result<Self> {
        let pulse = address.pulse().clone();
        let silences = pulse.silences();
        let journey = pulse.journey()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
        let tls = address.tls()?;
        // One by one, and not all in one call: that would wait for ever behind a host that accepts and says nothing.
        let mut opened = Ok(Err(None));
        let hosts = address.hosts();
        let share = PATIENCE / hosts.len().max(1) as u32;
        for host in hosts {
            let patience = journey.patience(share);
            let opening = async { tokio::time::timeout(patience, host.config.connect(tls.clone())).await };
            opened = runtime.block_on(opening).map(|opened| opened.map_err(Some));
            if matches!(opened, Ok(Ok(_))) {
                host.remember();
                break;
            }
        }
        let (client, link) = ended(journey, opened)?;
        Ok(Connection {
            runtime,
            client: Arc::new(client),
            link: RefCell::new(Box::pin(link)),
            ahead: RefCell::default(),
            pooler,
            statements: RefCell::new(LruCache::new(STATEMENTS)),
            spoiled: Cell::new(false),
            patience: PATIENCE,
            pulse,
            silences,
        })
    }

    /// One that waits longer for an answer: for work that goes through whole tables and that somebody looks on at.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Connection { patience, ..self }
    }

    /// Runs a statement; says how many rows it changed.
    pub fn execute(&self, sql: &str, values: &[Value]) -> Result<usize> {
        let rows = self.wait(self.ask(sql, values))?;
        let mut rows = pin!(rows);
        while self.wait(rows.try_next())?.is_some() {}
        Ok(rows.rows_affected().unwrap_or(0) as usize)
    }

    /// Runs a statement of which nothing is wanted but that it succeeds. It goes out on the journey of the next one, before
    /// it, and if it fails, so does that.
    pub fn run_ahead(&self, sql: &str, values: &[Value]) -> Result<()> {
        if self.pooler == Pooler::None && !self.is_ready(&(sql, values)) {
            return self.execute(sql, values).map(drop);
        }
        let client = self.client.clone();
        let parameters: Vec<_> = values.iter().map(|value| Kept(Owned::of(*value))).collect();
        let running: Ahead = if self.pooler == Pooler::Transaction {
            let sql = sql.to_owned();
            let typed: Vec<_> =
                parameters.into_iter().map(|kept| (kept.kind(), kept)).map(|(kind, kept)| (kept, kind)).collect();
            Box::pin(async move { finish(client.query_typed_raw(&sql, typed).await?).await })
        } else {
            let Some(statement) = self.statements.borrow_mut().get(&key(sql, values)).cloned() else {
                return Err(Error::internal("a statement that was prepared is not"));
            };
            Box::pin(async move { finish(client.query_raw(&statement, parameters).await?).await })
        };
        self.ahead.borrow_mut().push_back(running);
        Ok(())
    }

    /// Takes back what has not gone out.
    pub fn forget(&self) {
        self.ahead.borrow_mut().clear();
    }

    /// Sends statements without values now, and does not wait for the answer: the next wait does.
    pub fn send(&self, sql: &str) -> Result<()> {
        if self.is_spoiled() {
            return Err(silent());
        }
        let (client, sql) = (self.client.clone(), sql.to_owned());
        self.ahead.borrow_mut().push_back(Box::pin(async move { client.batch_execute(&sql).await }));
        let mut link = self.link.borrow_mut();
        let sending = poll_fn(|context| {
            let failed =
                self.poll_ahead(context).map_err(of_postgres).and_then(|()| match link.as_mut().poll(context) {
                    Poll::Ready(ended) => Err(ended.err().map_or_else(silent, of_postgres)),
                    Poll::Pending => Ok(()),
                });
            Poll::Ready(failed)
        });
        self.runtime.block_on(sending).inspect_err(|_| self.spoil())
    }

    /// Runs a statement and shows each row to `each`, until there are no more or `each` fails.
    ///
    /// `each` asks nothing on this connection: the answer would stand behind the rows that it has not yet taken.
    pub fn query(&self, sql: &str, values: &[Value], each: &mut dyn FnMut(&dyn Row) -> Result<()>) -> Result<()> {
        self.query_rows(sql, values, &mut |row| each(&Columns::of(row)))
    }

    /// The same with rows as they come.
    pub fn query_rows(
        &self,
        sql: &str,
        values: &[Value],
        each: &mut dyn FnMut(&tokio_postgres::Row) -> Result<()>,
    ) -> Result<()> {
        let rows = self.wait(self.ask(sql, values))?;
        let mut rows = pin!(rows);
        while let Some(row) = self.wait(rows.try_next())? {
            each(&row)?;
        }
        Ok(())
    }

    /// Runs statements without values, one after the other, as one message.
    pub fn batch(&self, sql: &str) -> Result<()> {
        self.wait(self.client.batch_execute(sql))
    }

    /// Runs statements without values, and others behind them, on one journey where that can be. Gives the rows of those.
    pub fn batch_and(&self, sql: &str, asked: &[Asked]) -> Result<Vec<Vec<tokio_postgres::Row>>> {
        // What is not prepared yet may mean something only after those before it: it waits until they are done.
        let together = asked.iter().take_while(|asked| self.is_ready(asked)).count();
        let (together, later) = asked.split_at(together);
        let batch = async { self.client.batch_execute(sql).await.map(|()| Vec::new()) };
        let answers = together.iter().map(|asked| self.answer(asked));
        let all: Vec<Pin<Box<dyn Future<Output = _> + '_>>> =
            std::iter::once(Box::pin(batch) as _).chain(answers.map(|answer| Box::pin(answer) as _)).collect();
        let mut answers: Vec<Vec<tokio_postgres::Row>> = self.wait(try_join_all(all))?;
        answers.remove(0);
        for asked in later {
            answers.push(self.wait(self.answer(asked))?);
        }
        Ok(answers)
    }

    async fn answer(&self, (sql, values): &Asked<'_>) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
        self.ask(sql, values).await?.try_collect().await
    }

    /// Runs statements without values, and one behind them, on one journey. Says how many rows that one changed.
    pub fn batch_and_execute(&self, batch: &str, asked: Asked) -> Result<usize> {
        let (sql, values) = asked;
        if !self.is_ready(&asked) {
            self.batch(batch)?;
            return self.execute(sql, values);
        }
        let run = async {
            let mut rows = pin!(self.ask(sql, values).await?);
            while rows.try_next().await?.is_some() {}
            Ok(rows.rows_affected().unwrap_or(0) as usize)
        };
        let ((), changed) = self.wait(try_join(self.client.batch_execute(batch), run))?;
        Ok(changed)
    }

    /// Whether it is of no more use: something failed on it, or the other side has gone.
    pub fn is_spoiled(&self) -> bool {
        self.spoiled.get() || self.client.is_closed()
    }

    /// Nobody shall use it again.
    pub fn spoil(&self) {
        self.spoiled.set(true);
    }

    /// Whether the server has been silent since it was opened. It may still be good; or nobody is at its other end any more, and
    /// it would be a long wait to find out.
    pub fn is_stale(&self) -> bool {
        self.pulse.silences() != self.silences
    }

    /// Whether a statement can go out without being prepared first.
    fn is_ready(&self, (sql, values): &Asked) -> bool {
        self.pooler == Pooler::Transaction || self.statements.borrow().contains(&key(sql, values))
    }

    async fn ask(&self, sql: &str, values: &[Value<'_>]) -> Result<RowStream, tokio_postgres::Error> {
        let parameters = values.iter().map(|value| Parameter(*value));
        if self.pooler == Pooler::Transaction {
            let typed = parameters.map(|parameter| {
                let kind = parameter.kind();
                (parameter, kind)
            });
            return self.client.query_typed_raw(sql, typed).await;
        }
        let statement = self.prepared(sql, values).await?;
        self.client.query_raw(&statement, parameters).await
    }

    async fn prepared(&self, sql: &str, values: &[Value<'_>]) -> Result<Statement, tokio_postgres::Error> {
        let key = key(sql, values);
        if let Some(known) = self.statements.borrow_mut().get(&key) {
            return Ok(known.clone());
        }
        let kinds: Vec<_> = values.iter().map(|value| Parameter(*value).kind()).collect();
        let statement = self.client.prepare_typed(sql, &kinds).await?;
        self.statements.borrow_mut().put(key, statement.clone());
        Ok(statement)
    }

    /// Turns the loop until the answer is there, the other side is gone, or patience ends.
    fn wait<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        if self.is_spoiled() {
            return Err(silent());
        }
        let journey = self.pulse.journey()?;
        let patience = journey.patience(self.patience);
        let mut answer = pin!(answer);
        let mut answered = None;
        let mut link = self.link.borrow_mut();
        let mut look = |context: &mut Context| {
            // In this order: who is asked first goes out first.
            if let Err(error) = self.poll_ahead(context) {
                return Poll::Ready(Err(Some(error)));
            }
            if answered.is_none()
                && let Poll::Ready(answer) = answer.as_mut().poll(context)
            {
                answered = Some(answer.map_err(Some));
            }
            match self.ahead.borrow().is_empty().then(|| answered.take()).flatten() {
                Some(answer) => Poll::Ready(answer),
                None => Poll::Pending,
            }
        };
        let turning = poll_fn(|context| {
            if let Poll::Ready(answer) = look(context) {
                return Poll::Ready(answer);
            }
            if let Poll::Ready(gone) = link.as_mut().poll(context) {
                // What has come before the end may still answer.
                self.spoil();
                if let Poll::Ready(answer) = look(context) {
                    return Poll::Ready(answer);
                }
                return Poll::Ready(Err(gone.err()));
            }
            // The link may have moved what the answer waited for; it wakes us if so.
            Poll::Pending
        });
        let answer = self.runtime.block_on(async { tokio::time::timeout(patience, turning).await });
        ended(journey, answer).inspect_err(|error| {
            if matches!(error.code(), Code::BackendUnavailable) {
                self.spoil();
            }
        })
    }

    /// Moves on what goes ahead. All of it is asked, so that all of it goes out; the first that failed is why the others did.
    fn poll_ahead(&self, context: &mut Context) -> Result<(), tokio_postgres::Error> {
        let mut ahead = self.ahead.borrow_mut();
        let mut outcome = Ok(());
        ahead.retain_mut(|running| match running.as_mut().poll(context) {
            Poll::Ready(done) => {
                if outcome.is_ok() {
                    outcome = done;
                }
                false
            }
            Poll::Pending => true,
        });
        if outcome.is_err() {
            // Whoever asked the others hears of the failure, and nobody waits for them.
            ahead.clear();
        }
        outcome
    }
}

/// Waits for the end of a statement's rows, of which there are none.
async fn finish(rows: RowStream) -> Result<(), tokio_postgres::Error> {
    let mut rows = pin!(rows);
    while rows.try_next().await?.is_some() {}
    Ok(())
}

/// What has come of a journey. There is no error where the other side has gone without a word.
fn ended<T>(journey: Journey, answer: Result<Result<T, Option<tokio_postgres::Error>>, Elapsed>) -> Result<T> {
    match answer {
        Err(_) => {
            journey.in_vain();
            Err(silent())
        }
        Ok(Err(Some(error))) if is_timeout(&error) => {
            journey.in_vain();
            Err(of_postgres(error))
        }
        Ok(answer) => {
            journey.answered();
            answer.map_err(|error| error.map_or_else(silent, of_postgres))
        }
    }
}

/// Whether the system has given up, and nobody has refused.
fn is_timeout(error: &tokio_postgres::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}

/// What a statement is kept under: the same words with values of other types are another statement.
fn key(sql: &str, values: &[Value]) -> String {
    let mut key = String::with_capacity(sql.len() + values.len());
    key.push_str(sql);
    key.extend(values.iter().map(|value| match value {
        Value::Null => '0',
        Value::Integer(_) => '1',
        Value::Real(_) => '2',
        Value::Text(_) => '3',
        Value::Blob(_) => '4',
        Value::Id(_) => '5',
        Value::Moment(_) => '6',
        Value::Json(_) => '7',
        Value::Texts(_) => '8',
        Value::List(list) => match list.first() {
            Some(Owned::Integer(_)) => 'a',
            Some(Owned::Real(_)) => 'b',
            Some(Owned::Id(_)) => 'c',
            Some(Owned::Moment(_)) => 'd',
            Some(Owned::Json(_)) => 'e',
            Some(_) | None => 'f',
        },
    }));
    key
}
