//! mem0's own Python client against this server, beside mem0's own library in process, with the same vectors.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Options;
use crate::endpoint;
use crate::report::{Aim, Report};
use crate::server::{Server, run, scratch};

pub fn measure(options: &Options, report: &mut Report) {
    let Some(python) = &options.mem0 else {
        eprintln!("  --mem0 names no Python with mem0ai: left out");
        return;
    };
    let embeddings = endpoint::start();
    let ask = |who: &[&str], memories: usize, users: usize| -> Value {
        let place = scratch(options);
        let output = Command::new(python)
            .arg("bench/others/mem0_clients.py")
            .args(who)
            .args(["--embeddings", &embeddings, "--memories", &memories.to_string(), "--users", &users.to_string()])
            .args(["--seconds", &options.seconds.to_string()])
            .env("HOME", place.path())
            .env("MEM0_DIR", place.path())
            .stderr(Stdio::piped())
            .output()
            .expect("Python runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{who:?}: {said}");
        serde_json::from_slice(&output.stdout).expect("figures in JSON")
    };

    for (memories, users) in [(1_000, 1), (1_000, 100), (10_000, 1), (10_000, 100)] {
        let case = format!("{memories} memories of {users}");
        let (given, asked) = (scratch(options), scratch(options));
        let given = ask(&["library", &given.path().display().to_string(), "--given"], memories, users);
        let asked = ask(&["library", &asked.path().display().to_string()], memories, users);
        let ours = {
            let (server, key, _place) = served(options, &embeddings);
            ask(&["client", &format!("http://{}/mem0", server.address), &key], memories, users)
        };
        for (name, what, aim) in
            [("add_per_s", "add", 10.0), ("listed_per_s", "add in lists of 20", 10.0), ("search_per_s", "search", 5.0)]
        {
            let value = |figures: &Value| figures[name].as_f64().expect("a figure");
            report.figure(format!("mem0 library, {case}: {what}, vectors given"), value(&given), "/s");
            report.figure(format!("mem0 library, {case}: {what}"), value(&asked), "/s");
            report.figure(format!("mem0 client to us, {case}: {what}"), value(&ours), "/s");
            report.held(
                format!("ours ÷ library, {case}: {what}, vectors given"),
                value(&ours) / value(&given),
                "×",
                Aim::AtLeast(aim),
            );
            report.held(
                format!("ours ÷ library, {case}: {what}"),
                value(&ours) / value(&asked),
                "×",
                Aim::AtLeast(aim),
            );
        }
        let floor = ours["get_per_s"].as_f64().expect("a figure");
        report.figure(format!("mem0 client to us, {case}: get, which is nearly the client's own time"), floor, "/s");
        for (who, figures) in [("mem0 library", &asked), ("mem0 client to us", &ours)] {
            let found = figures["found"].as_f64().expect("a figure");
            report.figure(format!("{who}, {case}: hits of 10"), found, "");
        }
        let (theirs, ours) = (asked["delete_all_s"].as_f64(), ours["delete_all_s"].as_f64().expect("a figure"));
        report.figure(format!("mem0 library, {case}: delete all of one user"), theirs.unwrap_or(f64::NAN), "s");
        report.held(format!("mem0 client to us, {case}: delete all of one user"), ours, "s", Aim::AtMost(1.0));
    }
}

/// A server that asks the endpoint for its vectors, and a service's key.
fn served(options: &Options, embeddings: &str) -> (Server, String, tempfile::TempDir) {
    let place = scratch(options);
    let data = place.path().join("data");
    let path = data.display().to_string();
    run(&options.server, &["init", "--data", &path]);
    let key = run(&options.server, &["key", "create", "--service", "--act-as", "*", "--data", &path]).trim().to_owned();
    let settings = [
        ("LOCULE_EMBEDDING_PROVIDER", "openai".to_owned()),
        ("LOCULE_EMBEDDING_URL", embeddings.to_owned()),
        ("LOCULE_EMBEDDING_MODEL", "made".to_owned()),
        ("LOCULE_EMBEDDING_DIMENSION", "384".to_owned()),
    ];
    (Server::with(options, &data, &settings), key, place)
}
