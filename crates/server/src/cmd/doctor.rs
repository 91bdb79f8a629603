//! `locule doctor`

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use clap::Args;
use locule::infer::{self, Instructions, Turn};
use locule::model::Purpose;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::context::{Context, Installation};
use super::failure::{Failure, Outcome};
use super::output::{self, bytes};
use crate::config::{Config, Provider};

/// Check the installation, and say what to do about what is wrong
///
/// Ends with exit code 1 if a line says FAIL. May run beside a server.
///
/// Example:
///   locule doctor --data /var/lib/locule
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Doctor {}

/// How a check ended.
enum Finding {
    Ok(String),
    /// It works, and might not for long.
    Warn(String, String),
    /// It does not work. What to do stands second.
    Fail(String, String),
}

use Finding::{Fail, Ok as Fine, Warn};

/// Too few open files for more than a few users at a time.
const FILES_MIN: u64 = 512;
const FILES_ENOUGH: u64 = 4_096;

/// Room on the disk below which writes are about to fail, and below which it is time to look.
const ROOM_MIN: u64 = 64 << 20;
const ROOM_ENOUGH: u64 = 1 << 30;

impl Doctor {
    pub fn run(self, context: &Context) -> Outcome {
        let findings = examine(context);
        let failed = findings.iter().filter(|(_, finding)| matches!(finding, Fail(..))).count();
        if context.json() {
            let objects: Vec<_> = findings.iter().map(|(check, finding)| object(check, finding)).collect();
            output::json(&objects)?;
        } else {
            findings.iter().try_for_each(|(check, finding)| output::data(&lines(check, finding)))?;
        }
        match failed {
            0 => Ok(()),
            1 => Err(Failure::failed("One check failed.")),
            count => Err(Failure::failed(format!("{count} checks failed."))),
        }
    }
}

/// The checks, in an order in which a later one needs the earlier.
fn examine(context: &Context) -> Vec<(&'static str, Finding)> {
    let config = match context.config() {
        Ok(config) => config,
        Err(failure) => {
            return vec![(
                "configuration",
                Fail(failure.words().to_owned(), "Correct it; the other checks need it.".to_owned()),
            )];
        }
    };
    let data = config.server.data.clone();
    let mut findings = vec![("configuration", configuration(&config)), ("data directory", directory(&data))];
    if data.is_dir() {
        findings.push(("master key", master_key(&data)));
        findings.push(("free space", room(&data)));
    }
    findings.push(("open files", files()));
    match context.open() {
        Ok(installation) => {
            findings.push(("installation", Fine("opens".to_owned())));
            findings.push(("audit trail", trail(&installation)));
            findings.push(("model", model(&installation, config.embedding.provider)));
            findings.push(("chat model", chat(&installation)));
        }
        Err(failure) => {
            findings.push(("installation", Fail(failure.words().to_owned(), "See the lines above.".to_owned())))
        }
    }
    findings
}

fn configuration(config: &Config) -> Finding {
    let Some(file) = &config.file else {
        return Fine("no file; defaults, environment and flags".to_owned());
    };
    let open = fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
    if open && (config.embedding.key.is_some() || config.chat.key.is_some()) {
        return Warn(
            format!("{} has a key in it, and others can read it", file.display()),
            format!("chmod 600 {}", file.display()),
        );
    }
    Fine(file.display().to_string())
}

fn directory(data: &Path) -> Finding {
    let place = data.display();
    match fs::metadata(data) {
        Err(error) => Fail(format!("{place}: {error}"), format!("Make it: locule init --data {place}")),
        Ok(metadata) if !metadata.is_dir() => {
            Fail(format!("{place} is no directory"), "Name another with --data.".to_owned())
        }
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let mode = metadata.permissions().mode() & 0o777;
            Warn(format!("{place} has mode {mode:04o}: others can look into it"), format!("chmod 700 {place}"))
        }
        Ok(metadata) if metadata.uid() != nix::unistd::geteuid().as_raw() => Warn(
            format!("{place} belongs to another account (uid {})", metadata.uid()),
            "Run this and the server as that account, so that files stay readable to both.".to_owned(),
        ),
        Ok(_) => Fine(format!("{place}, for this account alone")),
    }
}

fn master_key(data: &Path) -> Finding {
    let path = data.join("master.key");
    let place = path.display();
    match fs::metadata(&path) {
        Err(error) => Fail(
            format!("{place}: {error}"),
            "Restore it from its backup: without it nothing can be read. If there is no data yet, locule init makes one.".to_owned(),
        ),
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let mode = metadata.permissions().mode() & 0o777;
            Fail(format!("{place} has mode {mode:04o}: others can read it"), format!("chmod 600 {place}"))
        }
        Ok(_) => Fine("there, for this account alone".to_owned()),
    }
}

#[allow(clippy::unnecessary_cast, reason = "the numbers are narrower on other systems")]
fn room(data: &Path) -> Finding {
    let free = match statvfs(data) {
        Ok(disk) => disk.blocks_available() as u64 * disk.fragment_size() as u64,
        Err(error) => return Warn(format!("it cannot be told: {error}"), "Look with df.".to_owned()),
    };
    let (shown, todo) =
        (format!("{} free", bytes(free)), "Make room: when the disk is full, nothing can be stored.".to_owned());
    match free {
        free if free < ROOM_MIN => Fail(shown, todo),
        free if free < ROOM_ENOUGH => Warn(shown, todo),
        _ => Fine(shown),
    }
}

fn files() -> Finding {
    // The program raises its own limit to the hard one.
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard);
    let (shown, todo) = (
        format!("at most {files}"),
        "Raise the limit (ulimit -Hn, or LimitNOFILE= of the service) to 65536.".to_owned(),
    );
    match files {
        files if files < FILES_MIN => Fail(shown, todo),
        files if files < FILES_ENOUGH => Warn(shown, todo),
        _ => Fine(shown),
    }
}

fn trail(installation: &Installation) -> Finding {
    let checked =
        installation.operator("doctor").and_then(|operator| Ok(installation.engine.verify_trail(&operator)?));
    match checked {
        Ok(Ok(count)) => Fine(format!("{count} entries, unbroken")),
        Ok(Err(sequence)) => Fail(
            format!("the chain breaks at entry {sequence}"),
            "Entries were changed, moved or removed. Compare with a backup, and find out who could write here."
                .to_owned(),
        ),
        Err(failure) => {
            Fail(failure.words().to_owned(), "Free what holds the directory, and run this again.".to_owned())
        }
    }
}

/// A sentence, a question it answers, and one that has nothing to do with it.
const SENTENCE: &str = "I'm allergic to peanuts";
const NEAR: &str = "which food should I avoid?";
const FAR: &str = "the train leaves at noon";

fn model(installation: &Installation, provider: Provider) -> Finding {
    let embedder = installation.engine.embedder();
    let (name, dimension) = (&embedder.model().id, embedder.model().dimension);
    if provider == Provider::None {
        return Fine(format!("none; callers bring vectors of {dimension} numbers"));
    }
    let vectors = match embedder.embed(&[SENTENCE, NEAR, FAR], Purpose::Document) {
        Ok(vectors) => vectors,
        Err(error) => {
            return Fail(
                format!("{name} does not embed: {error:?}"),
                "Look at [embedding] in the configuration.".to_owned(),
            );
        }
    };
    let [sentence, near, far] = &vectors[..] else {
        return Fail(format!("{name} answers {} vectors for 3 texts", vectors.len()), "Name another model.".to_owned());
    };
    let (near, far) = (cosine(sentence, near), cosine(sentence, far));
    if near > far && near.is_finite() {
        return Fine(format!(
            "{name}, {dimension} numbers; what belongs together is near ({near:.2}), the rest is not ({far:.2})"
        ));
    }
    let found = format!("{name} finds a question ({near:.2}) no nearer to its answer than something else ({far:.2})");
    match provider {
        Provider::Local => Fail(found, "The program is damaged: install it again.".to_owned()),
        _ => Warn(found, "Look whether the endpoint runs the model you mean.".to_owned()),
    }
}

/// Whether there is a model that finds facts, and whether it does.
fn chat(installation: &Installation) -> Finding {
    let Some(chat) = installation.engine.chat() else {
        return Fine(
            "none; conversations are kept word for word (set `chat.model` to have facts found in them)".to_owned(),
        );
    };
    let said = Turn { role: "user".to_owned(), name: None, content: SENTENCE.to_owned() };
    let prompt = infer::extraction(&[said], &[], &Instructions::default(), installation.engine.now());
    let found = chat.say(&prompt).map_err(|failure| failure.why);
    let found = found.and_then(|answer| {
        infer::facts(&answer, &[]).map_err(|unusable| format!("Its answer cannot be used: {}.", unusable.0))
    });
    match found {
        Ok(facts) => Fine(format!("{}; found {} fact(s) in a sentence", chat.model(), facts.len())),
        Err(why) => Fail(format!("{}: {why}", chat.model()), "Look at [chat] in the configuration.".to_owned()),
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn lines(check: &str, finding: &Finding) -> String {
    match finding {
        Fine(found) => format!("OK    {check}: {found}"),
        Warn(found, todo) => format!("WARN  {check}: {found}\n      → {todo}"),
        Fail(found, todo) => format!("FAIL  {check}: {found}\n      → {todo}"),
    }
}

fn object(check: &str, finding: &Finding) -> serde_json::Value {
    let (status, found, todo) = match finding {
        Fine(found) => ("ok", found, None),
        Warn(found, todo) => ("warn", found, Some(todo)),
        Fail(found, todo) => ("fail", found, Some(todo)),
    };
    serde_json::json!({ "check": check, "status": status, "found": found, "todo": todo })
}
