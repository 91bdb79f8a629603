//! What an add asks for, and what becomes of it: at once, or behind the answer where a model is to find out what is worth
//! remembering.

use std::time::{Duration, Instant};

use locule::infer::{self, Conversation, Instructions};
use locule::job::{Job, JobStatus};
use locule::{Added, Code, Error, Found, JobId, Remembered, Result};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::ids::Ids;
use super::wire;
use crate::extract::{Acting, Caller, WriteMemories};
use crate::problem::Refusal;

/// What an add brings.
pub struct Adding {
    conversation: Conversation,
    /// The users it names.
    users: Vec<String>,
    /// Whether a model is to find out what is worth remembering.
    pub infer: bool,
    /// Whether the answer is to wait until that is done, where the body says.
    pub wait: Option<bool>,
}

/// What has become of it.
pub enum Outcome {
    /// It is there.
    Done(Vec<Added>),
    /// A model is asked.
    Asked(Box<Event>),
}

/// A job, and the memories that came of it, as mem0's clients read them.
pub struct Event {
    /// The job.
    pub job: Job,
    /// The memories it made or found there already.
    pub results: Vec<Value>,
}

impl Event {
    /// Of a job and its memories.
    pub fn of(job: Job, found: &[Found]) -> Self {
        let one = |found: &Found| result(&json!(found.id), found.memory.as_deref(), found.existing);
        Event { job, results: found.iter().map(one).collect() }
    }
}

impl Adding {
    /// Reads a body.
    pub fn read(body: &Map<String, Value>) -> Result<Self> {
        let ids = Ids::of_body(body)?;
        let categories = match body.get("categories") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let procedural = match body.get("memory_type").and_then(Value::as_str) {
            None => false,
            Some("procedural_memory") => true,
            Some(_) => return Err(Error::invalid("`memory_type` is `procedural_memory`, or left out.")),
        };
        let conversation = Conversation {
            messages: wire::messages(body)?,
            agent_id: ids.agent.clone(),
            app_id: ids.app.clone(),
            run_id: ids.run.clone(),
            metadata: wire::metadata(body)?.unwrap_or_default(),
            categories,
            expiration: wire::expiration(body)?.flatten(),
            created_at: body.get("timestamp").filter(|value| !value.is_null()).map(wire::moment).transpose()?,
            instructions: instructions(body)?,
            procedural,
        };
        let infer = wire::flag(body.get("infer")).unwrap_or(true);
        let wait = wire::flag(body.get("async_mode")).map(|asynchronous| !asynchronous);
        Ok(Adding { conversation, users: ids.users(), infer, wait })
    }

    /// Does what it asks for. With `wait` a model's work is waited for, as long as a request may take.
    pub async fn store(self, client: Client<WriteMemories>, wait: bool) -> Result<Outcome, Refusal> {
        let Adding { conversation, users, infer, .. } = self;
        let caller = client.caller(users).await?;
        let remembered = caller
            .again()
            .write(move |engine, scope| match (conversation.messages.is_empty(), infer) {
                // Nobody has said anything.
                (true, _) => Ok(Remembered::Now(Vec::new())),
                (false, true) => engine.remember(scope, conversation),
                (false, false) => engine.add(scope, conversation.verbatim()).map(Remembered::Now),
            })
            .await?;
        match remembered {
            Remembered::Now(added) => Ok(Outcome::Done(added)),
            Remembered::Later(job) if wait => Ok(Outcome::Asked(Box::new(done(&caller, job.id).await?))),
            Remembered::Later(job) => Ok(Outcome::Asked(Box::new(Event { job, results: Vec::new() }))),
        }
    }
}

/// What a request asks for beyond the usual, in whichever of its words.
fn instructions(body: &Map<String, Value>) -> Result<Instructions> {
    let text = |name: &str| {
        body.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let said = [
        text("custom_instructions").or_else(|| text("prompt")),
        text("includes").map(|what| format!("Remember: {what}")),
        text("excludes").map(|what| format!("Do not remember: {what}")),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    Ok(Instructions {
        custom: (!said.is_empty()).then(|| said.join("\n")),
        agent: text("agent_custom_instructions"),
        categories: infer::categories(body.get("custom_categories").unwrap_or(&Value::Null))?,
    })
}

/// How long to wait before looking again whether a job is done: little at first, and never much.
const LOOK: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_millis(250);

/// The event of a job, once it is done or the request has had its time.
pub async fn done<A: Acting>(caller: &Caller<A>, id: JobId) -> Result<Event, Refusal> {
    // The answer has to be on its way in time.
    let end = Instant::now() + caller.deadline() * 8 / 10;
    let mut pause = LOOK;
    loop {
        let (job, found) = caller.again().read(move |engine, scope| engine.job_with_memories(scope, id)).await?;
        if job.status.is_done() || Instant::now() + pause > end {
            return Ok(Event::of(job, &found));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_MAX);
    }
}

/// What became of each memory.
pub fn results(added: &[Added]) -> Vec<Value> {
    added.iter().map(|added| result(&json!(added.memory.id), Some(&added.memory.memory), added.existing)).collect()
}

/// What became of one: `ADD`, or `NOOP` where the same text was there already. Its text is null when it is gone since.
fn result(id: &Value, text: Option<&str>, existing: bool) -> Value {
    let event = if existing { "NOOP" } else { "ADD" };
    json!({"id": id, "memory": text, "data": {"memory": text}, "event": event})
}

/// The event of an add that is done when it is answered: named by its first memory, which tells it.
pub fn event_id(added: &[Added]) -> Value {
    added.first().map_or_else(|| json!("00000000-0000-0000-0000-000000000000"), |added| json!(added.memory.id))
}

/// The word for a job's status.
pub const fn status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Pending => "PENDING",
        JobStatus::Running => "RUNNING",
        JobStatus::Succeeded => "SUCCEEDED",
        JobStatus::Failed => "FAILED",
    }
}

impl Outcome {
    /// The results, for the routes that answer nothing else; an error, where a model's work has failed. What is not done in
    /// time is no error: it goes on, and its event tells how.
    pub fn results(&self) -> Result<Vec<Value>> {
        match self {
            Outcome::Done(added) => Ok(results(added)),
            Outcome::Asked(event) if event.job.status == JobStatus::Failed => Err(failed(&event.job)),
            Outcome::Asked(event) => Ok(event.results.clone()),
        }
    }

    /// What tells of work that is still under way.
    pub fn pending(&self) -> Option<Value> {
        match self {
            Outcome::Asked(event) if !event.job.status.is_done() => Some(json!({
                "message": "The model is still at work: its event tells when it is done.",
                "status": status(event.job.status),
                "event_id": event.job.id,
            })),
            _ => None,
        }
    }
}

/// The error of work that has failed.
pub fn failed(job: &Job) -> Error {
    let why = job.error.as_deref().unwrap_or("It was given up.");
    let id = job.id;
    Error::new(
        Code::ProviderUnavailable,
        format!("{why} Nothing is lost: event {id} has what was said, and POST /api/me/jobs/{id}/replay tries again."),
    )
}

/// The answer to an add of the newer clients.
pub fn answer(outcome: &Outcome, infer: bool) -> Value {
    match outcome {
        Outcome::Done(added) => {
            let mut answer = json!({
                "message": "Memories stored successfully",
                "status": "SUCCEEDED",
                "event_id": event_id(added),
                "results": results(added),
            });
            if infer {
                answer["inferred"] = json!(false);
                answer["message"] = json!(
                    "Memories stored word for word: no model is configured here that could find out what is in them."
                );
            }
            answer
        }
        Outcome::Asked(event) => {
            let Event { job, results } = &**event;
            let mut answer = json!({"event_id": job.id, "status": status(job.status)});
            answer["message"] = match job.status {
                JobStatus::Succeeded => json!("Memories stored successfully"),
                JobStatus::Failed => json!(failed(job).detail()),
                _ => json!("Memory processing has been queued for background execution"),
            };
            if job.status.is_done() {
                answer["results"] = json!(results);
            }
            answer
        }
    }
}
