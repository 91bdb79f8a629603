//! The server dies amid changes of the context, again and again: what was acknowledged is there, and what was under way is there
//! as a whole or not at all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::ground::Layout;
use crate::house::{Caller, House, NO_MODEL};

for_each_layout! {
    what_was_acknowledged_survives_many_deaths
}

const KEYS: usize = 6;

/// What one user has, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
struct Kept {
    /// Values by key. What is in two topics has a number.
    entries: BTreeMap<String, u64>,
    /// The list that is appended to.
    list: Vec<u64>,
    /// What the agents follow.
    agents: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
enum Doing {
    Push(String, u64),
    Append(u64),
    Remove(String),
    Follow(String, u64),
    /// Everything but the list and the agents.
    DeleteTopic,
}

impl Kept {
    fn after(&self, doing: &Doing) -> Kept {
        let mut kept = self.clone();
        match doing.clone() {
            Doing::Push(key, number) => drop(kept.entries.insert(key, number)),
            Doing::Append(number) => kept.list.push(number),
            Doing::Remove(key) => drop(kept.entries.remove(&key)),
            Doing::Follow(agent, number) => drop(kept.agents.insert(agent, number)),
            Doing::DeleteTopic => kept.entries.clear(),
        }
        kept
    }
}

struct Writer {
    caller: Caller,
    chance: Chance,
    count: u64,
    kept: Kept,
    open: Option<Doing>,
}

impl Writer {
    fn choose(&mut self) -> Doing {
        self.count += 1;
        let key = format!("k{}", self.chance.below(KEYS));
        match self.chance.below(20) {
            0..=7 => Doing::Push(key, self.count),
            8..=14 => Doing::Append(self.count),
            15 | 16 => Doing::Remove(key),
            17 | 18 => Doing::Follow(format!("a{}", self.chance.below(3)), self.count),
            _ => Doing::DeleteTopic,
        }
    }

    fn write(&mut self, stopping: &AtomicBool) {
        loop {
            let doing = self.choose();
            let (method, path, body) = match &doing {
                // A value that goes over several pages, and its number in two places.
                Doing::Push(key, number) => {
                    let value = json!({"n": number, "long": "x".repeat(self.chance.below(9000))});
                    let body = json!({"key": key, "value": value, "topics": ["t"], "metadata": {"n": number}});
                    ("POST", "/context".to_owned(), body)
                }
                Doing::Append(number) => {
                    ("POST", "/context/append".to_owned(), json!({"key": "list", "value": number}))
                }
                Doing::Remove(key) => ("DELETE", format!("/context?key={key}"), Value::Null),
                Doing::Follow(agent, number) => {
                    let body = json!({"name": agent, "topics": [format!("{number}"), "u"]});
                    ("PUT", "/context/agents".to_owned(), body)
                }
                Doing::DeleteTopic => ("DELETE", "/context/topics?topic=t".to_owned(), Value::Null),
            };
            let Ok(answer) = self.caller.try_call(method, &path, Some(body.to_string().as_bytes())) else {
                self.open = Some(doing);
                assert!(stopping.load(Ordering::SeqCst), "the server went away on its own");
                return;
            };
            // No such topic: nobody follows it, and there is nothing in it.
            let nothing = answer.status == 404 && matches!(doing, Doing::DeleteTopic);
            assert!(answer.status == 200 || nothing, "{method} {path}: {} {}", answer.status, answer.text());
            self.kept = self.kept.after(&doing);
        }
    }

    /// Holds what is there against what was acknowledged.
    fn check(&mut self) {
        let there = self.there();
        if there != self.kept {
            let open = self.open.take().expect("nothing was under way");
            assert_eq!(there, self.kept.after(&open), "{open:?}");
            self.kept = there;
        }
        self.open = None;
    }

    fn there(&self) -> Kept {
        let mut there = Kept::default();
        let entries = self.caller.get("/context").expect(200).json()["entries"].as_array().unwrap().clone();
        let usage = self.caller.get("/usage").expect(200).json();
        let mut counted = 0;
        for entry in &entries {
            let key = entry["key"].as_str().unwrap();
            counted += 64 + json!(key).to_string().len() + entry["value"].to_string().len();
            counted += entry["topics"].to_string().len();
            counted += if entry["audience"].is_null() { 0 } else { entry["audience"].to_string().len() };
            counted += if entry["metadata"].is_null() { 0 } else { entry["metadata"].to_string().len() };
            if key == "list" {
                there.list = serde_json::from_value(entry["value"].clone()).unwrap();
                continue;
            }
            assert_eq!(entry["value"]["n"], entry["metadata"]["n"], "a value of one push and metadata of another");
            there.entries.insert(key.to_owned(), entry["value"]["n"].as_u64().unwrap());
        }
        let agents = self.caller.get("/context/agents").expect(200).json()["agents"].as_array().unwrap().clone();
        for agent in &agents {
            counted += 64 + agent["name"].to_string().len() + agent["topics"].to_string().len();
            let number = agent["topics"][0].as_str().unwrap().parse().unwrap();
            there.agents.insert(agent["name"].as_str().unwrap().to_owned(), number);
        }
        assert_eq!(usage["size_bytes"], counted, "what is counted is what is there");
        // What is told of the changes is what is there, in the order of writing.
        let told = self.caller.get("/context/changes?wait_s=0").expect(200).text();
        let told: Vec<Value> = told
            .split("\n\n")
            .filter(|event| event.contains("event: entry"))
            .filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert_eq!(told, entries);
        assert!(entries.is_sorted_by_key(|entry| entry["revision"].as_u64().unwrap()));
        there
    }
}

fn what_was_acknowledged_survives_many_deaths(layout: Layout) {
    let mut house = House::on(layout, &NO_MODEL);
    let mut writers: Vec<_> = (0..3)
        .map(|n| Writer {
            caller: house.user(&format!("user-{n}")),
            chance: Chance::of(n),
            count: 0,
            kept: Kept::default(),
            open: None,
        })
        .collect();
    let mut chance = Chance::of(9);
    for _ in 0..if layout.is_file() { 25 } else { 10 } {
        let stopping = AtomicBool::new(false);
        std::thread::scope(|threads| {
            for writer in &mut writers {
                let stopping = &stopping;
                threads.spawn(move || writer.write(stopping));
            }
            // The moment of the death, and nothing that is waited for.
            std::thread::sleep(Duration::from_millis(20 + chance.below(150) as u64));
            stopping.store(true, Ordering::SeqCst);
            house.kill();
        });
        house.start();
        writers.iter_mut().for_each(Writer::check);
    }
    let count: u64 = writers.iter().map(|writer| writer.count).sum();
    println!("{count} changes over all deaths");
    assert!(count > 50);
    writers.iter().for_each(|writer| house.assert_chain_whole(&writer.caller.owner));
    house.run(&["audit", "verify", "--all"]);
}
