//! Spaces carried from each layout to each other one: everything goes along, nothing stays behind, and at every moment one of
//! the two is the space.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use locule_core::audit::Outcome;
use locule_core::auth::{ActAs, Authenticator, KeyKind, NewKey};
use locule_core::clock::{ManualClock, Sources};
use locule_core::context::{Deed, EntryQuery, Json, Name, Push};
use locule_core::directory::Directory as _;
use locule_core::feedback::{Feedback, Rating};
use locule_core::id::{Issuer, MemoryId};
use locule_core::job::{JobKind, JobQuery};
use locule_core::memory::{Change, Memory, NewMemory};
use locule_core::project::{NewWebhook, WebhookEvent};
use locule_core::relationship::{NewRelationship, Strength};
use locule_core::{Code, Move, Result};
use locule_store::moving::{Mover, Receipt, Step};
use locule_store::postgres::{Address, Pooler, Prefix};
use locule_store::{Keeping, Migration, Options, Postgres, PostgresLayout};
use locule_testbed::{Flavour, Postgres as Cluster};
use serde_json::json;
use tempfile::TempDir;

use crate::context::push;
use crate::house::{Process, User, child, code, embed, files, identity, model, noon};
use crate::jobs::object;

/// Where spaces may be: in files, or in PostgreSQL, where new ones are sealed or not.
pub type Where = Option<(PostgresLayout, bool)>;

pub const FILE: Where = None;
pub const RLS: Where = Some((PostgresLayout::Rls, false));
pub const SCHEMA: Where = Some((PostgresLayout::Schema, false));
pub const DATABASE: Where = Some((PostgresLayout::Database, false));
pub const SEALED: Where = Some((PostgresLayout::Rls, true));
/// A target that seals new spaces, which those that come from beside it are not.
const SEALS: Where = Some((PostgresLayout::Schema, true));

/// A data directory and a database that is set up for every layout.
pub struct Ground {
    place: TempDir,
    database: String,
    pub clock: ManualClock,
}

pub const PREFIX: &str = "moves";

fn cluster() -> &'static Cluster {
    Cluster::shared(Flavour::Debian15)
}

fn kept(url: &str, (layout, sealed): (PostgresLayout, bool)) -> Keeping {
    Keeping::Postgres(Postgres {
        layout,
        address: Address::parse(url).unwrap().anybody(),
        pooler: Pooler::None,
        prefix: Prefix::parse(PREFIX).unwrap(),
        connections_max: 8,
        sealed,
        clusters: locule_store::Clusters::default(),
    })
}

pub fn options(data: &Path, url: &str, place: Where) -> Options {
    let keeping = place.map_or(Keeping::Files, |layout| kept(url, layout));
    Options { keeping, ..Options::at(data) }
}

impl Ground {
    pub fn new() -> Self {
        static ORIGINAL: OnceLock<Vec<u8>> = OnceLock::new();
        static COPIES: AtomicUsize = AtomicUsize::new(0);
        let original = "original_moves";
        let cluster = cluster();
        let key = ORIGINAL.get_or_init(|| {
            cluster.create_database(original);
            let place = tempfile::tempdir().unwrap();
            let url = cluster.url_to(original);
            for layout in PostgresLayout::ALL {
                let options = options(&place.path().join("data"), &url, Some((layout, false)));
                locule_store::migrate(
                    &options,
                    &Address::parse(&url).unwrap(),
                    &Migration::default(),
                    &Sources::system(),
                )
                .unwrap();
            }
            std::fs::read(place.path().join("data/master.key")).unwrap()
        });
        let database = format!("moves_copy_{}", COPIES.fetch_add(1, Ordering::Relaxed));
        cluster.psql(&format!("CREATE DATABASE {database} TEMPLATE {original}"));
        cluster.psql(&format!("GRANT CREATE ON DATABASE {database} TO {PREFIX}_owner"));
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("master.key"), key).unwrap();
        std::fs::set_permissions(data.join("master.key"), PermissionsExt::from_mode(0o600)).unwrap();
        Ground { place, database, clock: ManualClock::at(noon()) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn url(&self) -> String {
        cluster().url_to(&self.database)
    }

    pub fn options(&self, place: Where) -> Options {
        options(&self.place.path().join("data"), &self.url(), place)
    }

    pub fn open(&self, place: Where) -> Process {
        self.try_open(place).unwrap()
    }

    fn try_open(&self, place: Where) -> Result<Process> {
        Process::open(&self.options(place), &self.clock)
    }

    pub fn psql(&self, sql: &str) -> String {
        cluster().psql_in(&self.database, sql)
    }

    fn mover(&self, from: Where, to: Where) -> Mover {
        let sources = Sources { clock: Arc::new(self.clock.clone()), ..Sources::system() };
        Mover::open(&self.options(from), &self.options(to), None, &sources).unwrap()
    }

    /// The one, from where it is to where it goes.
    pub fn carry(&self, from: Where, to: Where, name: &str, watch: &mut dyn FnMut(Step)) -> Result<Receipt> {
        let mover = self.mover(from, to);
        mover.carry(&right(&mover, name), watch)
    }

    /// All that is left of spaces in one way of keeping them.
    fn left(&self, place: Where) -> Vec<String> {
        let data = self.place.path().join("data");
        match place {
            FILE => ["spaces", "keys"]
                .into_iter()
                .filter(|name| data.join(name).exists())
                .flat_map(|name| files(&data.join(name)))
                .map(|(path, _)| path.display().to_string())
                .collect(),
            // A refusal stands in the history under the name of who was refused, whose space it is not.
            RLS | SEALED => {
                ["memories", "memory_vectors", "memory_history", "memory_relationships", "space_audit", "space_state"]
                    .into_iter()
                    .filter(|table| {
                        let but = if *table == "memory_history" { " WHERE operation <> 'access_denied'" } else { "" };
                        self.psql(&format!("SELECT count(*) FROM public.{table}{but}")) != "0"
                    })
                    .map(str::to_owned)
                    .collect()
            }
            SCHEMA => lines(&self.psql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 's\\_%'")),
            // Databases belong to the cluster, which other tests use too: those of this directory's spaces are asked after.
            Some(_) => Vec::new(),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = cluster().try_psql(&format!("DROP DATABASE {} WITH (FORCE)", self.database));
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[expect(clippy::disallowed_methods, reason = "a gate for the mover's own directory")]
pub fn right(mover: &Mover, name: &str) -> Move {
    let gate = locule_core::Gate::new(mover.directory().clone(), locule_core::Provision::Auto, Sources::system());
    let principal = locule_core::auth::trusted::operator("the tests move").unwrap();
    let operator = gate.operate(&principal, &crate::house::request()).unwrap();
    gate.system_move(&operator, identity(name), locule_core::policy::Act::Move, "the tests move").unwrap()
}

/// People with everything that a space may have.
pub fn populate(process: &Process, clock: &ManualClock) {
    let alice = process.alice();
    for number in 0..30 {
        let mut memory = NewMemory::text(alice.canary(&format!("fact {number} \u{1f95c} Ünï")));
        memory.metadata = serde_json::from_value(serde_json::json!({
            "number": number, "float": 0.1, "whole": 1e16, "zero": -0.0, "big": u64::MAX,
            "nested": {"list": [1, null, "x", {"b": 1, "a": 2.50}]}, "z": true, "a": "quoted \" and \\",
        }))
        .unwrap();
        memory.categories = vec!["food".to_owned(), "Ü, {x}".to_owned()];
        if number % 3 == 0 {
            memory.agent_id = Some("travel".to_owned());
            memory.run_id = Some("run 1".to_owned());
            memory.app_id = Some("app/1".to_owned());
        }
        memory.ttl_s = (number % 5 == 0).then_some(3_600);
        alice.try_add(vec![memory]).unwrap();
        clock.advance_s(1);
    }
    let all = alice.all();
    for memory in &all[..4] {
        let change = Change { memory: Some(alice.canary(&format!("changed {}", memory.id))), ..Change::default() };
        let row = locule_store::vector::encode(&embed(change.memory.as_deref().unwrap())).unwrap();
        alice.write(|writer| writer.update(&model(), memory.id, &change, Some(row))).unwrap();
        clock.advance_s(1);
    }
    for memory in &all[2..6] {
        alice.write(|writer| writer.delete(memory.id)).unwrap();
    }
    let related = (6..16).map(|place| NewRelationship {
        source_memory_id: all[place].id,
        target_memory_id: all[place + 1].id,
        relationship_type: "supports".to_owned(),
        strength: Strength::of(place as f64 / 100.0 * 3.0).unwrap(),
        metadata: serde_json::from_value(serde_json::json!({"why": [1.0, "x"]})).unwrap(),
    });
    alice.write(|writer| writer.relate(related.collect())).unwrap();
    process.bob().add("bob's one memory");
    process.store.directory.provision(&identity("carol")).unwrap();
    process.user("dave").add("shut in");
    process.user("dave").suspend(true);
    process.user("frank").add("forgotten");
    process.user("frank").erase().unwrap();
    let operator = process.operator();
    for kind in [
        KeyKind::User { identity: identity("alice"), read_only: false },
        KeyKind::Service { issuer: Issuer::default(), act_as: ActAs::parse("*").unwrap() },
    ] {
        let is_service = matches!(kind, KeyKind::Service { .. });
        let key = NewKey::mint(kind, "a key", None, &Sources::system()).unwrap();
        process.store.directory.add_key(&operator, key.record).unwrap();
        if is_service {
            set_up_project(process, &key.text);
        }
    }
    ask_for_work(alice, &all[20..22]);
    share_context(alice);
}

/// Entries of every kind, and agents that follow and may something.
fn share_context(alice: User) {
    let (agent, topic) = (Name::of("agent \u{1f95c}\0"), Name::of("topic"));
    alice.write(|writer| writer.subscribe(&agent, vec![topic.clone()])).unwrap();
    alice.write(|writer| writer.permit(&agent, vec![topic.clone()])).unwrap();
    let routed = Push {
        topics: vec![topic],
        ttl_s: Some(1e9 + 0.1),
        sender: Some(agent),
        metadata: Some(Json::of("{}").unwrap()),
        ..push("routed", "[1.50,123456789012345678901234567890]")
    };
    alice.push(routed).unwrap();
    alice.push(push("for everybody", "\"\\u0000\\ud800\"")).unwrap();
    let deed = Deed::to_keys(Some(&Name::of("agent")), [Name::of("routed")]);
    alice.write(|writer| writer.note_context("get_context", &deed, Outcome::Denied(Code::NotAllowed))).unwrap();
}

/// Jobs of every status, settings, and what she thinks of two memories.
fn ask_for_work(alice: User, memories: &[Memory]) {
    alice.ask(JobKind::Extract, "it succeeds \u{1f95c}");
    let claimed = alice.claim().unwrap();
    let results = object(json!({"memories": ["x", 1.50]}));
    alice.work(alice.process, |writer| writer.complete_job(&claimed, Some(results))).unwrap();
    alice.ask(JobKind::Extract, "it fails");
    let claimed = alice.claim().unwrap();
    alice.work(alice.process, |writer| writer.fail_job(&claimed, "it does not work")).unwrap();
    alice.ask(JobKind::Extract, "it runs");
    alice.claim().unwrap();
    for number in 0..3 {
        alice.ask(JobKind::Extract, &format!("{number} waits"));
    }
    let settings =
        json!({"custom_instructions": "Only food. \u{1f95c}", "decay": true, "custom_categories": [{"name": "food"}]});
    alice.write(|writer| writer.change_settings(&object(settings))).unwrap();
    let said = Feedback { feedback: Some(Rating::Negative), feedback_reason: Some("not so".to_owned()) };
    alice.write(|writer| writer.give_feedback(memories[0].id, &said)).unwrap();
    let said = Feedback { feedback: Some(Rating::Positive), feedback_reason: None };
    alice.write(|writer| writer.give_feedback(memories[1].id, &said)).unwrap();
}

/// A project's settings and a webhook.
fn set_up_project(process: &Process, key: &str) {
    let directory = &process.store.directory;
    let service = Authenticator::new(Vec::new(), directory.clone(), Sources::system()).authenticate(key).unwrap();
    let right = process.gate.manage(&service, &crate::house::request()).unwrap();
    directory.change_project(&right, &object(json!({"custom_instructions": "Be brief."}))).unwrap();
    let new = NewWebhook {
        name: "our application".to_owned(),
        url: "https://example.com/hook".to_owned(),
        event_types: vec![WebhookEvent::MemoryAdd, WebhookEvent::MemoryDelete],
    };
    directory.add_webhook(&right, new).unwrap();
}

/// What is so of the application, secrets included.
pub fn application(process: &Process) -> String {
    let application = process.store.directory.application(&Issuer::default()).unwrap();
    let secrets: Vec<_> = application.webhooks.iter().map(|webhook| webhook.secret.reveal().to_owned()).collect();
    assert_eq!(secrets.len(), 1);
    format!("{application:?} {secrets:?}")
}

/// Everything of somebody that can be seen.
pub fn seen(user: User, deleted: &[MemoryId]) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut note = |what: &str, value: String| drop(seen.insert(what.to_owned(), value));
    let all = user.all();
    note("memories", format!("{:#?}", all.iter().map(whole).collect::<Vec<_>>()));
    let ids = all.iter().map(|memory| memory.id).chain(deleted.iter().copied());
    let histories: Vec<_> = ids.map(|id| user.read(|reader| reader.history(id)).unwrap()).collect();
    note("histories", format!("{histories:#?}"));
    let mut related = Vec::new();
    user.read(|reader| {
        reader.export_relationships(&mut |relationship| {
            related.push(format!("{relationship:?}"));
            Ok(())
        })
    })
    .unwrap();
    note("relationships", related.join("\n"));
    let hits = user.search(&embed("fact"), 1000).unwrap();
    note("hits", format!("{:?}", hits.iter().map(|hit| (hit.memory.id, hit.score)).collect::<Vec<_>>()));
    let words = ["fact".to_owned()];
    let find = locule_store::Find {
        model: &model(),
        embedding: None,
        words: &words,
        limit: 100,
        threshold: None,
        cosine_min: None,
        filter: None,
    };
    let mut found: Vec<_> =
        user.read(|reader| reader.search(&find)).unwrap().into_iter().map(|hit| hit.memory.id).collect();
    found.sort();
    note("by words", format!("{found:?}"));
    let mut trail = Vec::new();
    user.read(|reader| {
        assert!(reader.verify_audit().unwrap().is_ok());
        reader.audit(&mut |entry| {
            trail.push(format!("{entry:?}"));
            Ok(())
        })
    })
    .unwrap();
    note("trail", trail.join("\n"));
    let jobs = user.read(|reader| reader.jobs(&JobQuery::default())).unwrap();
    note("jobs", format!("{:#?}", jobs.jobs));
    note("settings", format!("{:?}", user.read(|reader| reader.settings()).unwrap()));
    let feedback: Vec<_> = all.iter().map(|memory| user.read(|reader| reader.feedback(memory.id)).unwrap()).collect();
    note("feedback", format!("{feedback:?}"));
    let entries = user.entries(&EntryQuery { expired: true, ..EntryQuery::default() });
    // Each is found by its key too, and each agent by its name: however a database keeps what finds them.
    for entry in &entries {
        assert_eq!(user.read(|reader| reader.context_entry(&entry.key)).unwrap().as_ref(), Some(entry));
    }
    let agents = user.read(|reader| reader.context_agents()).unwrap();
    for agent in &agents {
        assert_eq!(user.read(|reader| reader.context_agent(&agent.name)).unwrap().as_ref(), Some(agent));
    }
    assert_eq!(entries.len(), if user.name == "alice" { 2 } else { 0 });
    note("context", format!("{entries:#?}\n{agents:#?}"));
    note("state", format!("{:?}", user.read(|reader| reader.state()).unwrap()));
    seen
}

/// A memory with the numbers in its metadata as numbers, whatever a database makes of how they were written.
fn whole(memory: &locule_core::memory::Memory) -> String {
    let numbers: Vec<_> = memory.metadata.values().map(|value| value.as_f64().map(|number| number + 0.0)).collect();
    let mut rest = memory.clone();
    rest.metadata.retain(|_, value| value.as_f64().is_none());
    format!("{rest:?} {numbers:?}")
}

fn move_all(ground: &Ground, from: Where, to: Where) -> Vec<Receipt> {
    let mover = ground.mover(from, to);
    let operator = ground_operator(&mover);
    mover.begin_all(&operator).unwrap();
    let mut receipts = Vec::new();
    for name in ["alice", "bob", "carol", "dave"] {
        receipts.push(mover.carry(&right(&mover, name), &mut |_| {}).unwrap());
    }
    assert!(mover.end_all(&operator).unwrap(), "the trail goes on");
    mover.close().unwrap();
    receipts
}

#[expect(clippy::disallowed_methods, reason = "a gate for the mover's own directory")]
pub fn ground_operator(mover: &Mover) -> locule_core::Operator {
    let gate = locule_core::Gate::new(mover.directory().clone(), locule_core::Provision::Auto, Sources::system());
    let principal = locule_core::auth::trusted::operator("the tests move").unwrap();
    gate.operate(&principal, &crate::house::request()).unwrap()
}

/// From one to another: all that was seen is seen there, of everybody; nothing is left here; and back again.
fn everything_goes_along(from: Where, to: Where) {
    let ground = Ground::new();
    let before = ground.open(from);
    populate(&before, &ground.clock);
    let deleted = deleted(&before);
    let (alice, bob) = (seen(before.alice(), &deleted), seen(before.bob(), &[]));
    let application_before = application(&before);
    let dave = before.user("dave").space();
    let reading = before.alice().reading().unwrap();

    let receipts = move_all(&ground, from, to);
    assert_eq!(receipts.iter().map(|receipt| receipt.memories).collect::<Vec<_>>(), [26, 1, 0, 1]);
    // Where the space stays in one directory its key goes along.
    assert_eq!(receipts[0].key_destroyed, from == FILE || (from == SEALED && to == FILE));
    assert_eq!(ground.left(from), Vec::<String>::new());

    let after = ground.open(to);
    assert_same(&seen(after.alice(), &deleted), &alice);
    assert_same(&seen(after.bob(), &[]), &bob);
    assert_eq!(application(&after), application_before);
    // What was asked for before is found and done after.
    ground.clock.advance_s(600);
    let now = locule_core::clock::Clock::now(&ground.clock);
    assert!(after.store.directory.work_due(now, 10).unwrap().0.contains(&after.alice().space()));
    assert_eq!(after.alice().claim().unwrap().attempts, 2, "whoever was at it is gone");
    assert_eq!(after.user("carol").texts(), Vec::<String>::new());
    assert_eq!(code(after.user("dave").reading()), Some(Code::SpaceSuspended));
    after.user("dave").suspend(false);
    assert_eq!((after.user("dave").texts().len(), after.user("dave").space()), (1, dave));
    assert!(after.user("frank").standing().not_before.is_some());
    assert_eq!(after.store.directory.keys(&after.operator()).unwrap().len(), 2);
    assert!(after.store.directory.verify_trail(&after.operator()).unwrap().is_ok());
    // It goes on being used.
    let memory = after.alice().add("after the move");
    assert!(after.alice().texts()[0].contains("after the move") && memory.id > deleted[0]);
    after.user("erin").add("new");

    // The program that was there before sends everybody elsewhere, or knows where they are.
    let shared = from != FILE && to != FILE;
    let stale = code(before.store.spaces.open(reading).read().map(drop));
    if shared {
        assert_eq!(stale, Some(Code::Busy));
        assert_eq!(before.alice().texts().len(), 27);
    } else {
        assert_eq!(stale, Some(Code::SpaceMoved));
        assert_eq!(code(before.alice().try_all()), Some(Code::SpaceMoved));
        assert_eq!(code(before.alice().erasing()), Some(Code::SpaceMoved));
        assert_eq!(code(before.user("stranger").writing()), Some(Code::SpaceMoved));
        assert_eq!(code(ground.try_open(from)), Some(Code::SpaceMoved));
    }

    drop(before);
    for name in ["alice", "bob", "carol", "dave", "erin"] {
        ground.carry(to, from, name, &mut |_| {}).unwrap();
    }
    let back = ground.mover(to, from);
    assert!(back.end_all(&ground_operator(&back)).unwrap());
    assert_eq!(ground.left(to), Vec::<String>::new());
    let again = ground.open(from);
    assert_eq!((again.alice().texts().len(), again.user("erin").texts().len()), (27, 1));
    assert!(again.alice().read(|reader| reader.verify_audit()).unwrap().is_ok());
    assert!(again.store.directory.verify_trail(&again.operator()).unwrap().is_ok());
    for name in ["alice", "bob", "dave", "erin"] {
        again.user(name).erase().unwrap();
    }
}

/// The memories that were deleted, by the trail.
pub fn deleted(process: &Process) -> Vec<MemoryId> {
    let mut deleted = Vec::new();
    process
        .alice()
        .read(|reader| {
            reader.audit(&mut |entry| {
                if entry.act == "delete_memory" {
                    deleted.push(entry.object.unwrap().parse().unwrap());
                }
                Ok(())
            })
        })
        .unwrap();
    assert_eq!(deleted.len(), 4);
    deleted
}

pub fn assert_same(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    for (what, expected) in expected {
        assert_eq!(&found[what], expected, "{what}");
    }
}

macro_rules! for_each_pair {
    ($($name:ident $from:ident $to:ident,)*) => {
        mod pairs {
            $(#[test]
            fn $name() {
                super::everything_goes_along(super::$from, super::$to);
            })*
        }
        mod killed {
            $(#[test]
            fn $name() {
                super::killed_at_any_step_it_is_finished(super::$from, super::$to);
            })*
        }
    };
}

for_each_pair! {
    file_to_rls FILE RLS,
    file_to_schema FILE SCHEMA,
    file_to_database FILE DATABASE,
    rls_to_file RLS FILE,
    rls_to_schema RLS SCHEMA,
    rls_to_database RLS DATABASE,
    schema_to_file SCHEMA FILE,
    schema_to_rls SCHEMA RLS,
    schema_to_database SCHEMA DATABASE,
    database_to_file DATABASE FILE,
    database_to_rls DATABASE RLS,
    database_to_schema DATABASE SCHEMA,
    file_to_sealed FILE SEALED,
    sealed_to_file SEALED FILE,
    sealed_to_schema SEALED SCHEMA,
    rls_to_schema_that_seals RLS SEALS,
}

/// The steps at which the one that carries is killed: right after each was taken.
const STEPS: [&str; 7] = ["Closed", "Rows(1)", "Copied", "Verified", "HandedOver", "Destroyed", "Welcomed"];

fn killed_at_any_step_it_is_finished(from: Where, to: Where) {
    let ground = Ground::new();
    let before = ground.open(from);
    let names: Vec<_> = STEPS.iter().map(|step| step.to_lowercase().replace("(1)", "")).collect();
    for name in &names {
        for fact in 0..3 {
            before.user(name).add(&format!("fact {fact}"));
        }
    }
    let expected: Vec<_> = names.iter().map(|name| seen(before.user(name), &[])).collect();
    before.store.spaces.close().unwrap();
    drop(before);
    for (name, step) in names.iter().zip(STEPS) {
        let plan = serde_json::json!({
            "from": word(from), "to": word(to), "url": ground.url(), "name": name, "step": step,
        });
        std::fs::write(ground.place.path().join("plan"), plan.to_string()).unwrap();
        let ended = child("moves::the_one_that_is_killed", ground.place.path()).wait().unwrap();
        let crossed = (from == FILE || to == FILE) || step != "Welcomed";
        assert_eq!(ended.success(), !crossed, "{name}");
        let under_way = ground.mover(from, to).begun(&ground_operator(&ground.mover(from, to))).unwrap();
        assert_eq!(under_way, if crossed { vec![identity(name)] } else { vec![] });
        // Until it is finished, nothing is changed; whatever is seen, is right.
        if let Ok(process) = ground.try_open(from).or_else(|_| ground.try_open(to)) {
            if crossed {
                assert!(process.user(name).try_add(vec![NewMemory::text("meanwhile")]).is_err(), "{step}");
                assert!(process.user(name).erasing().is_err(), "{step}");
            }
            if let Ok(all) = process.user(name).try_all() {
                assert_eq!(all.len(), 3, "{step}");
            }
        }
        if crossed {
            ground.carry(from, to, name, &mut |_| {}).unwrap();
        }
        assert_eq!(ground.mover(from, to).begun(&ground_operator(&ground.mover(from, to))).unwrap(), vec![]);
    }
    assert_eq!(ground.left(from), Vec::<String>::new());
    let after = ground.open(to);
    for (name, expected) in names.iter().zip(&expected) {
        assert_same(&seen(after.user(name), &[]), expected);
        after.user(name).add("goes on");
        after.user(name).erase().unwrap();
    }
}

pub fn word(place: Where) -> &'static str {
    match place {
        None => "file",
        SEALED => "sealed",
        SEALS => "seals",
        Some((layout, _)) => layout.word(),
    }
}

pub fn of_word(word: &str) -> Where {
    [FILE, RLS, SCHEMA, DATABASE, SEALED, SEALS].into_iter().find(|place| self::word(*place) == word).unwrap()
}

#[test]
#[ignore = "carries a space until it is killed: run by `killed_at_any_step_it_is_finished`"]
fn the_one_that_is_killed() {
    let Some(place) = crate::house::given_data() else { return };
    let plan: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(place.join("plan")).unwrap()).unwrap();
    let text = |key: &str| plan[key].as_str().unwrap().to_owned();
    let options = |key: &str| options(&place.join("data"), &text("url"), of_word(&text(key)));
    let mover = Mover::open(&options("from"), &options("to"), None, &Sources::system()).unwrap();
    let (name, fatal) = (text("name"), text("step"));
    mover
        .carry(&right(&mover, &name), &mut |step| {
            let step = if matches!(step, Step::Rows(_)) { "Rows(1)".to_owned() } else { format!("{step:?}") };
            if step == fatal {
                std::process::abort();
            }
        })
        .unwrap();
}

#[test]
fn until_it_is_handed_over_a_space_can_be_looked_into_and_not_changed() {
    for (from, to) in [(FILE, RLS), (RLS, SCHEMA), (SCHEMA, FILE)] {
        let ground = Ground::new();
        let process = ground.open(from);
        let memory = process.alice().add("kept");
        process.bob().add("not concerned");
        let held = process.alice().writing().unwrap();
        let steps = Mutex::new(Vec::new());
        ground
            .carry(from, to, "alice", &mut |step| {
                if matches!(step, Step::Closed | Step::Copied | Step::Verified) {
                    let alice = process.alice();
                    assert_eq!(alice.get(memory.id).unwrap(), memory);
                    assert_eq!(code(alice.writing()), Some(Code::SpaceMoving));
                    assert_eq!(code(alice.erasing()), Some(Code::SpaceMoving));
                    process.bob().add(&format!("at {step:?}"));
                }
                steps.lock().unwrap().push(step);
            })
            .unwrap();
        // A right from before does not reach what is there now.
        let refusal = code(process.store.spaces.open(held).write().map(drop));
        assert!(matches!(refusal, Some(Code::Busy | Code::SpaceMoved)), "{refusal:?}");
        assert!(steps.lock().unwrap().contains(&Step::HandedOver));
        assert_eq!(process.bob().texts().len(), 4);
        assert_eq!(ground.open(to).alice().texts().len(), 1);
    }
}

#[test]
fn what_is_acknowledged_while_a_space_moves_to_and_fro_is_there() {
    let ground = Ground::new();
    let process = ground.open(RLS);
    process.alice().add("first");
    let stop = AtomicBool::new(false);
    let acknowledged = AtomicUsize::new(1);
    std::thread::scope(|threads| {
        for writer in 0..2 {
            let (ground, stop, acknowledged) = (&ground, &stop, &acknowledged);
            threads.spawn(move || {
                let process = ground.open(RLS);
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let memory = NewMemory::text(process.alice().canary(&format!("{writer} {number}")));
                    match process.alice().try_add(vec![memory]) {
                        Ok(_) => drop(acknowledged.fetch_add(1, Ordering::SeqCst)),
                        Err(error) => {
                            assert!(matches!(error.code(), Code::SpaceMoving | Code::Busy), "{error:?}");
                            std::thread::yield_now();
                        }
                    }
                    // Whatever is read is all of it.
                    let least = acknowledged.load(Ordering::SeqCst);
                    match process.alice().try_all() {
                        Ok(all) => assert!(all.len() >= least, "{} of {least}", all.len()),
                        Err(error) => assert!(
                            matches!(error.code(), Code::SpaceMoving | Code::Busy | Code::BackendUnavailable),
                            "{error:?}"
                        ),
                    }
                }
            });
        }
        let mut before = 0;
        for (from, to) in [(RLS, SCHEMA), (SCHEMA, DATABASE), (DATABASE, RLS), (RLS, DATABASE), (DATABASE, SCHEMA)] {
            while acknowledged.load(Ordering::SeqCst) < before + 5 {
                std::thread::yield_now();
            }
            before = acknowledged.load(Ordering::SeqCst);
            ground.carry(from, to, "alice", &mut |_| {}).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
    });
    let all = process.alice().all();
    assert_eq!(all.len(), acknowledged.load(Ordering::SeqCst));
    assert!(process.alice().read(|reader| reader.verify_audit()).unwrap().is_ok());
}

#[test]
fn a_move_that_fails_changes_nothing_and_can_be_taken_back() {
    let ground = Ground::new();
    let process = ground.open(SCHEMA);
    process.alice().add("kept");
    // Rows that somebody else has put there are nobody's to destroy.
    ground.psql("INSERT INTO public.memories (user_id, memory) VALUES ('alice', 'from elsewhere')");
    assert_eq!(code(ground.carry(SCHEMA, RLS, "alice", &mut |_| {})), Some(Code::Conflict));
    assert_eq!(ground.psql("SELECT memory FROM public.memories"), "from elsewhere");
    process.alice().add("goes on");
    assert_eq!(code(ground.carry(SCHEMA, RLS, "nobody", &mut |_| {})), Some(Code::NotFound));

    // Begun, and left by whoever carried it.
    let mover = ground.mover(SCHEMA, FILE);
    let right = right(&mover, "alice");
    mover.directory().begin_move(&right, mover.target()).unwrap();
    assert_eq!(code(process.alice().writing()), Some(Code::SpaceMoving));
    // Another way it does not go meanwhile.
    assert_eq!(code(ground.carry(SCHEMA, DATABASE, "alice", &mut |_| {})), Some(Code::Conflict));
    assert!(mover.abandon(&right).unwrap());
    assert!(!mover.abandon(&right).unwrap());
    process.alice().add("goes on again");
    assert_eq!(process.alice().texts().len(), 3);
    assert_eq!(ground.left(FILE), Vec::<String>::new());
}

#[test]
fn a_user_who_is_there_already_is_not_moved_into() {
    let ground = Ground::new();
    ground.open(RLS).alice().add("there");
    let process = ground.open(FILE);
    process.alice().add("here");
    assert_eq!(code(ground.carry(FILE, RLS, "alice", &mut |_| {})), Some(Code::Conflict));
    process.alice().add("here again");
    assert_eq!(process.alice().texts().len(), 2);
    assert_eq!(ground.open(RLS).alice().texts().len(), 1);
}

#[test]
fn what_has_no_place_elsewhere_is_said_before() {
    let ground = Ground::new();
    let memory = ground.open(RLS).alice().add("shared");
    ground.psql(&format!(
        "INSERT INTO public.organizations (name, slug) VALUES ('o', 'o');
         INSERT INTO public.memory_org_shares (user_id, memory_id, org_id, granted_by)
         SELECT 'alice', '{}', id, 'alice' FROM public.organizations",
        memory.id
    ));
    let mover = ground.mover(RLS, SCHEMA);
    let operator = ground_operator(&mover);
    let found = mover.only_here(&operator, &identity("alice")).unwrap();
    assert_eq!(found, ["1 memories shared with organisations"]);
    assert_eq!(mover.only_here(&operator, &identity("bob")).unwrap(), Vec::<String>::new());
}
