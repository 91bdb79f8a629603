//! The context of agents: who may read what, who may write what, what is gone when, and that nothing is lost.

use locule_core::audit::Outcome;
use locule_core::context::{
    Agent, Deed, DeletedTopic, Entry, EntryQuery, Follower, Json, Name, News, Push, Statistics,
};
use locule_core::memory::NewMemory;
use locule_core::{Code, Result, limit};

use crate::house::{ENCRYPTED, House, Layout, RLS, RLS_SEALED, User, code, model, ready};
use crate::sealed::dump;

for_each_layout! {
    what_is_pushed_comes_out_as_it_went_in
    each_key_has_one_entry_and_the_last_one_stands_last
    whom_a_push_reaches_is_settled_when_it_is_pushed
    an_agent_without_a_name_of_its_own_is_not_everybody
    what_an_agent_may_not_is_refused_and_changes_nothing
    what_has_expired_is_not_there
    a_deleted_topic_takes_only_what_is_its_alone
    as_many_entries_and_agents_as_there_may_be
    what_context_takes_counts_and_is_free_again
    what_was_read_and_is_changed_meanwhile_is_not_written_over
    a_value_is_changed_on_what_was_read_and_the_entry_stays_what_it_is
    changes_are_told_to_who_looks_from_elsewhere
    as_many_as_there_may_be_however_many_write_at_once
    somebody_else_sees_nothing
    clearing_and_erasing_leave_nothing
    a_trail_tells_deeds_where_it_is_to
}

pub fn name(text: &str) -> Name {
    Name::of(text)
}

fn names(texts: &[&str]) -> Vec<Name> {
    texts.iter().copied().map(Name::of).collect()
}

fn json(text: &str) -> Json {
    Json::of(text).unwrap()
}

pub fn push(key: &str, value: &str) -> Push {
    Push::new(name(key), json(value))
}

fn to_topics(key: &str, topics: &[&str]) -> Push {
    Push { topics: names(topics), ..push(key, "1") }
}

fn from(sender: &str, push: Push) -> Push {
    Push { sender: Some(name(sender)), ..push }
}

impl User<'_> {
    pub fn push(&self, push: Push) -> Result<Entry> {
        self.write(|writer| writer.push_context(push))
    }

    fn entry(&self, key: &str) -> Option<Entry> {
        self.read(|reader| reader.context_entry(&name(key))).unwrap()
    }

    pub fn entries(&self, query: &EntryQuery) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.read(|reader| {
            reader.context_entries(query, &mut |entry| {
                entries.push(entry);
                Ok(())
            })
        })
        .unwrap();
        entries
    }

    /// The keys that an agent may read; that the application may, without one.
    fn keys(&self, agent: Option<&str>) -> Vec<String> {
        let query = EntryQuery { agent: agent.map(name), ..EntryQuery::default() };
        let listed = self.read(|reader| reader.list_context(&query)).unwrap();
        let keys: Vec<_> = listed.iter().map(|listed| listed.key.text().unwrap()).collect();
        let read: Vec<_> = self.entries(&query).iter().map(|entry| entry.key.text().unwrap()).collect();
        assert_eq!(keys, read);
        keys
    }

    fn follow(&self, agent: &str, topics: &[&str]) -> Agent {
        self.write(|writer| writer.subscribe(&name(agent), names(topics))).unwrap()
    }

    fn statistics(&self) -> Statistics {
        self.read(|reader| reader.context_statistics()).unwrap()
    }

    fn bytes(&self) -> u64 {
        self.read(|reader| reader.state()).unwrap().size_bytes
    }

    fn acts(&self) -> Vec<String> {
        let mut acts = Vec::new();
        self.read(|reader| {
            reader.audit(&mut |entry| {
                acts.push(entry.act);
                Ok(())
            })
        })
        .unwrap();
        assert!(self.read(|reader| reader.verify_audit()).unwrap().is_ok());
        acts
    }
}

fn what_is_pushed_comes_out_as_it_went_in(layout: &Layout) {
    let mut house = House::quick(layout, |_| {});
    let keys = [r#""""#, r#""\u0000\ud800""#, r#""😀 é' \" ; DROP TABLE""#, &format!("\"{}\"", "k".repeat(1 << 20))];
    let values =
        ["null", "12345678901234567890123456789012345678901234567890", r#"{"é":["\u0000","\udc00",1e400]}"#, "\"\""];
    let mut pushed = Vec::new();
    for (key, value) in keys.iter().zip(values) {
        let new = Push {
            agents: vec![Name::from_json(r#""\u0000""#).unwrap()],
            topics: names(&["été", ""]),
            ttl_s: Some(0.1 + 3600.0),
            metadata: Some(json(r#"{"by":"\ud800"}"#)),
            ..Push::new(Name::from_json(key).unwrap(), json(value))
        };
        pushed.push(house.alice().push(new).unwrap());
    }
    assert_eq!(pushed[0].created_at, house.now());
    house.reopen();
    assert_eq!(house.alice().entries(&EntryQuery::default()), pushed);
    for entry in &pushed {
        let found = house.alice().read(|reader| reader.context_entry(&entry.key)).unwrap();
        assert_eq!(found.as_ref(), Some(entry));
    }
    // What does not fit is refused, and nothing is changed by it.
    let long = "x".repeat(limit::CONTEXT_NAME_BYTES.max + 1);
    for wrong in [
        Push { ttl_s: Some(f64::NAN), ..push("k", "1") },
        Push { ttl_s: Some(f64::INFINITY), ..push("k", "1") },
        Push { metadata: Some(json("[]")), ..push("k", "1") },
        Push { agents: names(&[&long]), ..push("k", "1") },
        Push { topics: vec![name("t"); limit::CONTEXT_NAMES.max + 1], ..push("k", "1") },
        Push { sender: Some(name(&long)), ..push("k", "1") },
    ] {
        assert!(house.alice().push(wrong).is_err());
    }
    assert_eq!(house.alice().statistics().total_items, 4);
}

fn each_key_has_one_entry_and_the_last_one_stands_last(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    for key in ["a", "b", "c", "a"] {
        alice.push(push(key, "[]")).unwrap();
    }
    assert_eq!(alice.keys(None), ["b", "c", "a"]);
    // All of what was there is replaced: audience, topics and time to live.
    let all = Push { agents: names(&["x"]), topics: names(&["t"]), ttl_s: Some(1.0), ..push("b", "1") };
    alice.push(all).unwrap();
    let again = alice.push(push("b", "2")).unwrap();
    assert_eq!((again.audience, again.topics, again.ttl_s), (None, vec![], None));
    assert_eq!(alice.keys(Some("anybody")), ["c", "a", "b"]);
    assert!(alice.write(|writer| writer.remove_context(&name("a"), None)).unwrap());
    assert!(!alice.write(|writer| writer.remove_context(&name("a"), None)).unwrap());
    assert_eq!(alice.keys(None), ["c", "b"]);
}

fn whom_a_push_reaches_is_settled_when_it_is_pushed(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    alice.follow("early", &["t", "u", "t"]);
    alice.push(to_topics("routed", &["t"])).unwrap();
    alice.push(to_topics("nobody's", &["nowhere"])).unwrap();
    alice.push(Push { agents: names(&["direct"]), ..to_topics("both", &["u"]) }).unwrap();
    alice.push(Push { include_sender: true, ..from("writer", to_topics("own", &["nowhere"])) }).unwrap();
    alice.push(push("global", "1")).unwrap();
    alice.follow("late", &["t", "nowhere"]);
    assert_eq!(alice.keys(Some("early")), ["routed", "both", "global"]);
    assert_eq!(alice.keys(Some("late")), ["global"]);
    assert_eq!(alice.keys(Some("direct")), ["both", "global"]);
    assert_eq!(alice.keys(Some("writer")), ["own", "global"]);
    assert_eq!(alice.keys(Some("__NO_SUBSCRIBERS__")), ["global"]);
    assert_eq!(alice.keys(None).len(), 5);
    // Who leaves keeps what was routed; pushed again, it is routed anew.
    alice.write(|writer| writer.unsubscribe(&name("early"), &names(&["t", "unknown"]))).unwrap();
    assert_eq!(alice.keys(Some("early")), ["routed", "both", "global"]);
    alice.push(to_topics("routed", &["t"])).unwrap();
    assert_eq!(alice.keys(Some("early")), ["both", "global"]);
    assert_eq!(alice.keys(Some("late")), ["global", "routed"]);

    let agents = alice.read(|reader| reader.context_agents()).unwrap();
    let follows: Vec<_> = agents.iter().map(|agent| (agent.name.text().unwrap(), agent.topics.clone())).collect();
    assert_eq!(
        follows,
        [
            ("early".to_owned(), names(&["u"])),
            ("writer".to_owned(), vec![]),
            ("late".to_owned(), names(&["t", "nowhere"]))
        ]
    );
    let topics = alice.read(|reader| reader.context_topics()).unwrap();
    let told: Vec<_> =
        topics.iter().map(|topic| (topic.name.text().unwrap(), topic.subscribers.len(), topic.entries)).collect();
    assert_eq!(told, [("u".to_owned(), 1, 1), ("t".to_owned(), 1, 1), ("nowhere".to_owned(), 1, 2)]);
    assert_eq!(
        alice.statistics(),
        Statistics {
            total_items: 5,
            active_items: 5,
            global_items: 1,
            private_items: 4,
            total_topics: 3,
            agents_with_topics: 2,
            ..Statistics::default()
        }
    );
}

fn an_agent_without_a_name_of_its_own_is_not_everybody(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    alice.push(Push { agents: names(&["a"]), ..push("for a", "1") }).unwrap();
    for nobody in ["", "0", "None", "null", "*", "A", "a ", "%"] {
        assert_eq!(alice.keys(Some(nobody)), Vec::<String>::new(), "{nobody:?}");
        let new = from(nobody, push("for a", "2"));
        assert_eq!(code(alice.push(new)), Some(Code::NotAllowed), "{nobody:?}");
        assert!(!alice.write(|writer| writer.remove_context(&name("for a"), Some(&name(nobody)))).unwrap());
    }
    alice.push(Push { agents: names(&[""]), ..push("for the empty", "1") }).unwrap();
    assert_eq!(alice.keys(Some("")), ["for the empty"]);
    assert_eq!(alice.keys(Some("a")), ["for a"]);
}

fn what_an_agent_may_not_is_refused_and_changes_nothing(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    alice.write(|writer| writer.permit(&name("clerk"), names(&["sales"]))).unwrap();
    let before = (alice.bytes(), alice.keys(None), alice.acts());
    for topics in [&["secret"][..], &["sales", "secret"], &["Sales"], &[""]] {
        assert_eq!(code(alice.push(from("clerk", to_topics("k", topics)))), Some(Code::NotAllowed), "{topics:?}");
    }
    assert_eq!((alice.bytes(), alice.keys(None), alice.acts()), before);
    // To no topic, to the one that is its own, and for those who were told nothing.
    alice.push(from("clerk", push("k", "1"))).unwrap();
    alice.push(from("clerk", to_topics("k", &["sales"]))).unwrap();
    alice.push(from("boss", to_topics("other", &["secret"]))).unwrap();
    // What it wrote it may write again, though it cannot read it; nobody else may who cannot read it.
    assert_eq!(alice.keys(Some("clerk")), Vec::<String>::new());
    alice.push(from("clerk", to_topics("k", &["sales"]))).unwrap();
    assert_eq!(code(alice.push(from("boss", push("k", "3")))), Some(Code::NotAllowed));
    let append = |sender| alice.write(|writer| writer.append_context(from(sender, push("k", "3"))));
    assert_eq!(code(append("boss")), Some(Code::NotAllowed));
    assert!(!alice.write(|writer| writer.remove_context(&name("k"), Some(&name("boss")))).unwrap());
    assert!(alice.write(|writer| writer.remove_context(&name("k"), Some(&name("clerk")))).unwrap());
    // With no topics it may post to any again.
    alice.write(|writer| writer.permit(&name("clerk"), vec![])).unwrap();
    alice.push(from("clerk", to_topics("k", &["secret"]))).unwrap();
}

fn what_has_expired_is_not_there(layout: &Layout) {
    let mut house = House::quick(layout, |_| {});
    let for_s = |key: &str, ttl_s: f64| Push { ttl_s: Some(ttl_s), agents: names(&["a"]), ..push(key, "[]") };
    for (key, ttl_s) in [("gone", -1.0), ("short", 10.0), ("long", 1e300), ("middle", 400.0)] {
        house.alice().push(for_s(key, ttl_s)).unwrap();
    }
    assert_eq!(house.alice().keys(Some("a")), ["short", "long", "middle"]);
    house.clock.advance_s(10);
    assert_eq!(house.alice().keys(Some("a")), ["short", "long", "middle"], "its last moment");
    house.clock.advance_s(1);
    house.reopen();
    let alice = house.alice();
    assert_eq!(alice.keys(Some("a")), ["long", "middle"]);
    assert!(alice.entry("short").unwrap().is_expired(house.now()));
    assert_eq!(alice.read(|reader| reader.context_counts()).unwrap(), (2, 0));
    let figures = alice.statistics();
    assert_eq!((figures.total_items, figures.active_items, figures.expired_items), (4, 2, 2));
    // It is nobody's any more: anybody may write there, and begins anew.
    let appended = alice.write(|writer| writer.append_context(from("b", push("short", "1")))).unwrap();
    assert_eq!((appended.value.text(), appended.audience), ("[1]", None));
    assert_eq!(alice.write(|writer| writer.remove_expired_context()).unwrap(), 1);
    assert_eq!(alice.statistics().total_items, 3);
    // Or it goes by itself, a while later.
    house.clock.advance_s(400);
    alice.push(push("new", "1")).unwrap();
    assert_eq!(alice.statistics().total_items, 4);
    house.clock.advance_s(400);
    alice.push(push("new", "1")).unwrap();
    assert_eq!(alice.statistics().total_items, 3);
    assert_eq!(alice.keys(None), ["long", "short", "new"]);
}

fn a_deleted_topic_takes_only_what_is_its_alone(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    // An agent is called like the topic.
    alice.follow("t", &["u"]);
    alice.follow("a", &["t", "u"]);
    alice.push(Push { agents: names(&["t"]), ..push("addressed", "1") }).unwrap();
    alice.push(to_topics("alone", &["t"])).unwrap();
    alice.push(to_topics("shared", &["t", "u"])).unwrap();
    alice.push(to_topics("other", &["u"])).unwrap();
    alice.push(push("global", "1")).unwrap();
    let before = alice.entry("shared").unwrap();
    let delete = |topic: &str| alice.write(|writer| writer.delete_topic(&name(topic))).unwrap();
    let acts = alice.acts();
    assert_eq!(delete("unknown"), None);
    assert_eq!(alice.acts(), acts);
    assert_eq!(delete("t"), Some(DeletedTopic { subscribers: 1, entries: 1 }));
    assert_eq!(alice.keys(Some("t")), ["addressed", "other", "global", "shared"]);
    let shared = alice.entry("shared").unwrap();
    assert_eq!((&shared.topics, &shared.audience), (&names(&["u"]), &before.audience));
    assert_eq!((shared.value, shared.created_at), (before.value, before.created_at));
    let agents = alice.read(|reader| reader.context_agents()).unwrap();
    assert!(agents.iter().all(|agent| agent.topics == names(&["u"])), "{agents:?}");
    assert_eq!(delete("t"), None);
    // One that only has entries is there too.
    alice.push(to_topics("unheard", &["quiet"])).unwrap();
    assert_eq!(delete("quiet"), Some(DeletedTopic { subscribers: 0, entries: 1 }));
}

fn as_many_entries_and_agents_as_there_may_be(layout: &Layout) {
    let house = House::quick(layout, |options| (options.quota.entries_max, options.quota.agents_max) = (3, 2));
    let alice = house.alice();
    for key in ["a", "b", "c"] {
        alice.push(push(key, "1")).unwrap();
    }
    let full = alice.push(push("d", "1")).unwrap_err();
    assert_eq!(full.code(), Code::QuotaExceeded);
    assert!(full.to_string().contains("limit") && full.to_string().contains("size"), "{full}");
    assert_eq!(alice.keys(None), ["a", "b", "c"]);
    alice.push(Push { ttl_s: Some(1.0), ..push("a", "2") }).unwrap();
    house.clock.advance_s(2);
    alice.push(push("d", "1")).unwrap();
    assert_eq!(alice.keys(None), ["b", "c", "d"], "what has expired does not count");

    alice.push(from("one", push("b", "1"))).unwrap();
    alice.follow("two", &["t"]);
    assert_eq!(code(alice.push(from("three", push("b", "3")))), Some(Code::QuotaExceeded));
    assert_eq!(code(alice.write(|writer| writer.subscribe(&name("three"), names(&["t"])))), Some(Code::QuotaExceeded));
    assert_eq!(code(alice.write(|writer| writer.permit(&name("three"), vec![]))), Some(Code::QuotaExceeded));
    alice.write(|writer| writer.permit(&name("one"), names(&["t"]))).unwrap();
    assert_eq!(alice.entry("b").unwrap().value, json("1"));
    house.bob().push(push("his own", "1")).unwrap();
}

fn what_context_takes_counts_and_is_free_again(layout: &Layout) {
    let house = House::quick(layout, |options| options.quota.bytes_max = 2000);
    let alice = house.alice();
    let long = format!("\"{}\"", "x".repeat(1500));
    alice.push(push("k", &long)).unwrap();
    let full = alice.bytes();
    assert!(full > 1500);
    assert_eq!(code(alice.push(push("l", &long))), Some(Code::QuotaExceeded));
    assert_eq!((alice.bytes(), alice.keys(None)), (full, vec!["k".to_owned()]));
    alice.push(push("k", &long)).unwrap();
    assert_eq!(alice.bytes(), full);
    alice.follow("a", &["t"]);
    alice.push(from("b", Push { ttl_s: Some(1.0), ..push("k", "1") })).unwrap();
    alice.push(push("m", "1")).unwrap();
    // Deleting all memories takes nothing of it.
    let before = alice.bytes();
    alice.write(|writer| writer.add(&model(), vec![ready(NewMemory::text("a memory"))])).unwrap();
    alice.write(|writer| writer.delete_all(None)).unwrap();
    assert_eq!(alice.bytes(), before);
    house.clock.advance_s(2);
    alice.write(|writer| writer.remove_expired_context()).unwrap();
    alice.write(|writer| writer.remove_context(&name("m"), None)).unwrap();
    assert!(alice.bytes() > 0, "there are agents");
    alice.write(|writer| writer.clear_context()).unwrap();
    assert_eq!(alice.bytes(), 0);
}

fn what_was_read_and_is_changed_meanwhile_is_not_written_over(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let expect = |revision, value: &str| alice.push(Push { expected_revision: Some(revision), ..push("k", value) });
    let first = expect(0, "1").unwrap();
    assert_eq!(code(expect(0, "2")), Some(Code::Conflict));
    let second = expect(first.revision, "2").unwrap();
    assert_eq!(code(expect(first.revision, "3")), Some(Code::Conflict));
    assert_eq!(alice.entry("k"), Some(second));
    let append = |key: &str, value: &str| alice.write(|writer| writer.append_context(push(key, value)));
    assert_eq!(code(append("k", "3")), Some(Code::Conflict), "a number is no list");
    let list = Push { agents: names(&["a"]), topics: names(&["t"]), ttl_s: Some(60.0), ..push("l", "[]") };
    let before = alice.push(list).unwrap();
    house.clock.advance_s(30);
    let after = append("l", "{\"a\":1}").unwrap();
    assert_eq!(after, Entry { value: json("[{\"a\":1}]"), revision: after.revision, ..before });
    house.clock.advance_s(31);
    assert_eq!(alice.keys(None), ["k"], "the time that it has does not begin again");
}

fn a_value_is_changed_on_what_was_read_and_the_entry_stays_what_it_is(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let (alice, bob) = (house.alice(), house.bob());
    let edit = |push: Push| alice.write(|writer| writer.edit_context(push));
    let on = |revision, push: Push| Push { expected_revision: Some(revision), ..push };
    // Where there is none, one begins as the push says.
    alice.follow("f", &["t"]);
    let first = edit(on(0, Push { ttl_s: Some(60.0), ..from("a", to_topics("k", &["t"])) })).unwrap();
    assert_eq!((&first.audience, first.ttl_s), (&Some(names(&["f"])), Some(60.0)));
    assert_eq!(code(edit(on(0, push("k", "2")))), Some(Code::Conflict));
    // Who follows by now is not let in by it, and the time that it has does not begin again.
    alice.follow("late", &["t"]);
    house.clock.advance_s(30);
    let second = edit(on(first.revision, push("k", "2"))).unwrap();
    assert_eq!(second, Entry { value: json("2"), revision: second.revision, ..first.clone() });
    assert_eq!(code(edit(on(first.revision, push("k", "3")))), Some(Code::Conflict));
    assert_eq!(code(edit(from("late", push("k", "3")))), Some(Code::NotAllowed));
    bob.write(|writer| writer.edit_context(push("k", "\"bob's\""))).unwrap();
    assert_eq!(alice.entry("k"), Some(second));
    let by_another = edit(from("f", push("k", "4"))).unwrap();
    assert_eq!(by_another.writer, Some(name("f")));
    house.clock.advance_s(31);
    // What has expired is not there: the next begins anew.
    assert_eq!(edit(on(0, push("k", "5"))).unwrap().audience, None);
}

/// Whoever asks for changes again and again gets all of them once, however large they are, also those that were written at once.
#[test]
fn changes_that_are_too_much_for_one_answer_come_in_several() {
    let house = House::quick(&ENCRYPTED, |_| {});
    let alice = house.alice();
    let third = json(&format!("\"{}\"", "x".repeat(limit::CONTEXT_CHANGES_BYTES.max / 3)));
    for number in 0..7 {
        let key = name(&number.to_string());
        alice.push(Push { topics: names(&["t", "u"]), ..Push::new(key, third.clone()) }).unwrap();
    }
    let mut follower = Follower::default();
    let mut all = || {
        let mut told = Vec::new();
        loop {
            let look = |reader: &locule_store::Reader| reader.context_changes(follower.heard(), None);
            let Some(changes) = alice.read(look).unwrap() else { return told };
            assert!((1..=2).contains(&changes.entries.len()) && changes.keys.len() == 7);
            told.extend(follower.tell(changes).into_iter().filter_map(|told| match told.news {
                News::Entry(entry) => Some((entry.key.to_string(), entry.revision)),
                _ => None,
            }));
        }
    };
    let said = |revision: &dyn Fn(u64) -> u64| (0..7).map(|n| (n.to_string(), revision(n))).collect::<Vec<_>>();
    assert_eq!(all(), said(&|n| n + 1));
    alice.write(|writer| writer.delete_topic(&name("t"))).unwrap();
    assert_eq!(all(), said(&|_| 8));
}

fn changes_are_told_to_who_looks_from_elsewhere(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let other = house.neighbour();
    let (here, there) = (house.alice(), other.alice());
    here.push(push("a", "1")).unwrap();
    let look = |after: u64, agent: Option<&str>| {
        there.read(|reader| reader.context_changes(after, agent.map(name).as_ref())).unwrap()
    };
    let first = look(0, None).unwrap();
    assert_eq!((first.entries.len(), &first.keys), (1, &names(&["a"])));
    assert_eq!(look(first.revision, None), None);
    // Whoever watches in the process that changes is told at once; a look tells the same.
    let told = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = told.clone();
    let wake = std::sync::Arc::new(move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    });
    let watch = house.store.spaces.watch(&here.reading().unwrap(), wake).unwrap();
    here.push(Push { agents: names(&["x"]), ..push("b", "2") }).unwrap();
    here.write(|writer| writer.remove_context(&name("a"), None)).unwrap();
    house.bob().push(push("bob's", "1")).unwrap();
    assert_eq!(told.load(std::sync::atomic::Ordering::SeqCst), 2);
    drop(watch);
    let second = look(first.revision, None).unwrap();
    assert_eq!(second.entries.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>(), names(&["b"]));
    assert_eq!(second.keys, names(&["b"]));
    let of_y = look(first.revision, Some("y")).unwrap();
    assert!(of_y.entries.is_empty() && of_y.keys.is_empty());
    here.push(push("c", "3")).unwrap();
    assert_eq!(told.load(std::sync::atomic::Ordering::SeqCst), 2);
    // A revision from a future that was taken back.
    assert_eq!(look(1_000_000, None).unwrap().entries.len(), 2);
}

fn as_many_as_there_may_be_however_many_write_at_once(layout: &Layout) {
    let house = House::quick(layout, |options| (options.quota.entries_max, options.quota.agents_max) = (10, 5));
    std::thread::scope(|threads| {
        for writer in 0..16 {
            let alice = house.alice();
            threads.spawn(move || {
                for number in 0..4 {
                    let new = push(&format!("{writer}-{number}"), "1");
                    again(|| match alice.push(new.clone()) {
                        Err(error) if error.code() == Code::QuotaExceeded => Ok(()),
                        other => other.map(drop),
                    });
                }
                let agent = name(&format!("agent {writer}"));
                again(|| match alice.write(|writer| writer.subscribe(&agent, names(&["t"]))) {
                    Err(error) if error.code() == Code::QuotaExceeded => Ok(()),
                    other => other.map(drop),
                });
            });
        }
    });
    assert_eq!(house.alice().statistics().total_items, 10);
    assert_eq!(house.alice().read(|reader| reader.context_agents()).unwrap().len(), 5);
}

/// Whoever is told to try later does.
fn again<T>(mut work: impl FnMut() -> Result<T>) -> T {
    loop {
        match work() {
            Err(error) if error.code() == Code::Busy => std::thread::yield_now(),
            done => return done.unwrap(),
        }
    }
}

fn somebody_else_sees_nothing(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let (alice, bob) = (house.alice(), house.bob());
    alice.push(from("a", to_topics("k", &["t"]))).unwrap();
    alice.follow("a", &["t"]);
    let nothing = |bob: User| {
        assert_eq!(bob.keys(None), Vec::<String>::new());
        assert_eq!((bob.entry("k"), bob.statistics()), (None, Statistics::default()));
        assert!(bob.read(|reader| reader.context_agents()).unwrap().is_empty());
        assert!(bob.read(|reader| reader.context_topics()).unwrap().is_empty());
    };
    nothing(bob);
    bob.push(push("k", "\"bob's\"")).unwrap();
    bob.write(|writer| writer.delete_topic(&name("t"))).unwrap();
    bob.write(|writer| writer.clear_context()).unwrap();
    nothing(bob);
    assert_eq!(alice.entry("k").unwrap().value, json("1"));
    assert_eq!(alice.acts(), ["push_context", "subscribe_context"]);
}

fn clearing_and_erasing_leave_nothing(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let (alice, bob) = (house.alice(), house.bob());
    for user in [alice, bob] {
        user.push(from("a", push("k", "1"))).unwrap();
        user.follow("a", &["t"]);
    }
    alice.write(|writer| writer.clear_context()).unwrap();
    assert_eq!(alice.statistics(), Statistics::default());
    alice.push(push("again", "1")).unwrap();
    alice.erase().unwrap();
    alice.push(push("she is back", "1")).unwrap();
    assert_eq!(alice.keys(None), ["she is back"]);
    assert_eq!(bob.keys(None), ["k"]);
}

fn a_trail_tells_deeds_where_it_is_to(layout: &Layout) {
    let mut house = House::quick(layout, |options| options.context_trail = true);
    let alice = house.alice();
    alice.follow("a", &["t"]);
    alice.push(from("b", to_topics("k\u{e9}\0", &["t"]))).unwrap();
    alice.push(push("of the application", "1")).unwrap();
    assert!(!alice.write(|writer| writer.remove_context(&name("k\u{e9}\0"), Some(&name("c")))).unwrap());
    assert!(alice.write(|writer| writer.remove_context(&name("k\u{e9}\0"), Some(&name("a")))).unwrap());
    let read = Deed::to_keys(Some(&name("a")), names(&["one", "two"]));
    alice.write(|writer| writer.note_context("get_context", &read, Outcome::Done)).unwrap();
    alice.write(|writer| writer.delete_topic(&name("t"))).unwrap();
    alice.write(|writer| writer.clear_context()).unwrap();
    house.reopen();
    let mut told = Vec::new();
    let look = |reader: &locule_store::Reader| {
        reader.audit(&mut |entry| {
            told.push((entry.act, entry.object.unwrap_or_default(), entry.outcome));
            Ok(())
        })?;
        reader.verify_audit()
    };
    assert_eq!(house.alice().read(look).unwrap(), Ok(8));
    let expected = [
        ("subscribe_context", r#"{"agent":"a","topics":["t"]}"#, "ok"),
        ("push_context", r#"{"agent":"b","keys":["k\u00e9\u0000"]}"#, "ok"),
        ("push_context", r#"{"agent":null,"keys":["of the application"]}"#, "ok"),
        ("remove_context", r#"{"agent":"c","keys":["k\u00e9\u0000"]}"#, "not_allowed"),
        ("remove_context", r#"{"agent":"a","keys":["k\u00e9\u0000"]}"#, "ok"),
        ("get_context", r#"{"agent":"a","keys":["one","two"]}"#, "ok"),
        ("delete_topic", r#"{"agent":null,"topics":["t"]}"#, "ok"),
        ("clear_context", r#"{"agent":null}"#, "ok"),
    ];
    assert_eq!(told, expected.map(|(act, object, outcome)| (act.to_owned(), object.to_owned(), outcome.to_owned())));
}

/// Whoever runs the database of a sealed space reads none of it.
#[test]
fn context_is_content() {
    for (layout, sealed) in [(RLS_SEALED, true), (RLS, false)] {
        let house = House::quick(&layout, |options| options.context_trail = true);
        let new = Push {
            agents: names(&["canary-agent"]),
            topics: names(&["canary-topic"]),
            metadata: Some(json("{\"canary\":1}")),
            ..from("canary-writer", push("canary-key", "\"canary-value\""))
        };
        let entry = house.alice().push(new).unwrap();
        house.alice().write(|writer| writer.permit(&name("canary-writer"), names(&["canary-topic"]))).unwrap();
        house.alice().follow("canary-writer", &["canary-topic"]);
        let dump = dump(&house);
        assert!(dump.contains("context_entries ") && dump.contains("context_agents "));
        assert_eq!((dump.contains("canary"), dump.contains(&entry.key.hash())), (!sealed, !sealed), "{dump}");
        assert_eq!(house.alice().entry("canary-key"), Some(entry));
    }
}

/// Neither PostgREST's roles nor Supabase's come to it, whatever their claims say.
#[test]
fn only_the_server_comes_to_context() {
    let house = House::quick(&RLS, |_| {});
    house.alice().push(push("k", "1")).unwrap();
    for table in ["context_entries", "context_agents"] {
        let may = format!(
            "SELECT count(*), count(*) FILTER (WHERE has_table_privilege(role, '{table}', act)
                     OR (act <> 'DELETE' AND has_any_column_privilege(role, '{table}', act)))
             FROM unnest(ARRAY['anon', 'authenticated', 'service_role']) AS role,
                  unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS act"
        );
        assert_eq!(house.psql(&may).trim(), "12|0", "{table}");
        let forced = format!("SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = '{table}'");
        assert_eq!(house.psql(&forced).trim(), "t", "{table}");
    }
    // Whoever runs the database reads what is not sealed.
    assert_eq!(house.psql("SELECT user_id, key, value FROM context_entries").trim(), r#"alice|"k"|1"#);
}
