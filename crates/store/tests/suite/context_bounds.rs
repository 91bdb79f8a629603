//! What is too long, too many or no number: refused with the bound, and nothing is changed by it.

use locule_core::context::{Entry, EntryQuery, Json, Name, Push};
use locule_core::{Code, limit};

use crate::context::{name, push};
use crate::house::{ENCRYPTED, House, Layout, User, code};

for_each_layout! {
    what_is_as_long_as_may_be_is_kept_and_one_byte_more_is_refused
    a_push_reaches_however_many_follow
    an_entry_has_as_many_topics_as_there_may_be
    a_time_to_live_is_a_number_of_seconds
}

fn xs(bytes: usize) -> Name {
    name(&"x".repeat(bytes))
}

fn string_of(bytes: usize) -> Json {
    Json::of(&format!("\"{}\"", "x".repeat(bytes - 2))).unwrap()
}

/// Everything of the context and its size, so that one sees whether anything has changed.
fn everything(user: User) -> impl PartialEq + std::fmt::Debug {
    let agents = user.read(|reader| reader.context_agents()).unwrap();
    let listed = user.read(|reader| reader.list_context(&EntryQuery::default())).unwrap();
    (agents, listed, user.read(|reader| reader.state()).unwrap())
}

fn what_is_as_long_as_may_be_is_kept_and_one_byte_more_is_refused(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let value_max = limit::CONTEXT_VALUE_BYTES.max;
    let longest = alice.push(Push::new(name("value"), string_of(value_max))).unwrap();
    assert_eq!(alice.entries(&EntryQuery::default()), [longest]);
    assert!(Json::of(&format!("\"{}\"", "x".repeat(value_max - 1))).is_err());
    // One item more than a list may have is refused when it is appended, and the list is as it was.
    let nearly = format!("[\"{}\"]", "x".repeat(value_max - 6));
    alice.push(Push::new(name("value"), Json::of(&nearly).unwrap())).unwrap();
    let append = |item: &str| alice.write(|writer| writer.append_context(push("value", item)));
    let before = format!("{:?}", everything(alice));
    assert_eq!(code(append("10")), Some(Code::TooLarge));
    assert_eq!(format!("{:?}", everything(alice)), before);
    append("1").unwrap();
    alice.write(|writer| writer.clear_context()).unwrap();

    let key = xs(limit::CONTEXT_KEY_BYTES.max);
    alice.push(Push::new(key.clone(), string_of(10))).unwrap();
    assert!(alice.read(|reader| reader.context_entry(&key)).unwrap().is_some());
    assert!(alice.write(|writer| writer.remove_context(&key, None)).unwrap());
    let (agent, longer) = (xs(limit::CONTEXT_NAME_BYTES.max), xs(limit::CONTEXT_NAME_BYTES.max + 1));
    let topic = vec![agent.clone()];
    alice.write(|writer| writer.subscribe(&agent, topic.clone())).unwrap();
    alice.write(|writer| writer.permit(&agent, topic.clone())).unwrap();
    alice.push(Push { topics: topic.clone(), sender: Some(agent.clone()), ..push("k", "1") }).unwrap();
    assert_eq!(alice.entries(&EntryQuery { agent: Some(agent.clone()), ..EntryQuery::default() }).len(), 1);

    let before = format!("{:?}", everything(alice));
    let refused = |outcome: Option<Code>| {
        assert_eq!(outcome, Some(Code::TooLarge));
        assert_eq!(format!("{:?}", everything(alice)), before);
    };
    refused(code(alice.push(Push::new(xs(limit::CONTEXT_KEY_BYTES.max + 1), string_of(10)))));
    for wrong in [vec![longer.clone()], vec![name("t"); limit::CONTEXT_NAMES.max + 1], distinct_names(20, 60_000)] {
        refused(code(alice.push(Push { agents: wrong.clone(), ..push("k", "2") })));
        refused(code(alice.push(Push { topics: wrong.clone(), ..push("k", "2") })));
        refused(code(alice.write(|writer| writer.append_context(Push { topics: wrong.clone(), ..push("k", "2") }))));
        refused(code(alice.write(|writer| writer.subscribe(&name("a"), wrong.clone()))));
        refused(code(alice.write(|writer| writer.permit(&name("a"), wrong.clone()))));
        refused(code(alice.write(|writer| writer.unsubscribe(&agent, &wrong))));
        let whole = alice.entries(&EntryQuery::default()).remove(0);
        refused(code(alice.write(|writer| writer.put_context(Entry { topics: wrong, ..whole }))));
    }
    refused(code(alice.write(|writer| writer.subscribe(&longer, vec![]))));
    refused(code(alice.push(Push { sender: Some(longer.clone()), ..push("k", "2") })));
    let (key, value) = (xs(limit::CONTEXT_KEY_BYTES.max - 10), string_of(value_max - 10));
    refused(code(alice.push(Push::new(key, value))));
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(limit::METADATA_BYTES.max));
    refused(code(alice.push(Push { metadata: Some(Json::of(&long).unwrap()), ..push("k", "2") })));
}

fn distinct_names(count: usize, bytes: usize) -> Vec<Name> {
    (0..count).map(|number| name(&format!("{number:04}{}", "x".repeat(bytes - 4)))).collect()
}

fn a_push_reaches_however_many_follow(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let followers: Vec<Name> = (0..limit::CONTEXT_NAMES.max + 500).map(|number| name(&format!("f{number}"))).collect();
    alice
        .write(|writer| followers.iter().try_for_each(|follower| writer.subscribe(follower, vec![name("t")]).map(drop)))
        .unwrap();
    let entry = alice.push(Push { topics: vec![name("t")], ..push("k", "1") }).unwrap();
    assert_eq!(entry.audience.as_ref(), Some(&followers));
    // It can be written again as it is, and appended to.
    alice.write(|writer| writer.put_context(Entry { value: Json::of("[]").unwrap(), ..entry.clone() })).unwrap();
    alice.write(|writer| writer.append_context(push("k", "2"))).unwrap();
    for follower in [&followers[0], &followers[followers.len() - 1]] {
        let query = EntryQuery { agent: Some(follower.clone()), ..EntryQuery::default() };
        assert_eq!(alice.entries(&query).len(), 1);
    }
    let topics = alice.read(|reader| reader.context_topics()).unwrap();
    assert_eq!((topics.len(), topics[0].subscribers.len(), topics[0].entries), (1, followers.len(), 1));
    let deleted = alice.write(|writer| writer.delete_topic(&name("t"))).unwrap().unwrap();
    assert_eq!((deleted.subscribers as usize, deleted.entries), (followers.len(), 1));
}

fn an_entry_has_as_many_topics_as_there_may_be(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let topics: Vec<Name> = (0..limit::CONTEXT_NAMES.max).map(|number| name(&format!("t{number}"))).collect();
    alice.write(|writer| writer.subscribe(&name("all"), topics.clone())).unwrap();
    alice.write(|writer| writer.subscribe(&name("one"), vec![topics[999].clone()])).unwrap();
    let entry = alice.push(Push { topics: topics.clone(), ..push("k", "1") }).unwrap();
    assert_eq!((entry.topics.len(), entry.audience), (1000, Some(vec![name("all"), name("one")])));
    assert_eq!(alice.read(|reader| reader.context_topics()).unwrap().len(), 1000);
    let gone: Vec<Name> = topics[1..].iter().step_by(50).cloned().collect();
    alice.write(|writer| gone.iter().try_for_each(|topic| writer.delete_topic(topic).map(drop))).unwrap();
    let left = alice.entries(&EntryQuery::default());
    assert_eq!(left[0].topics.len(), topics.len() - gone.len());
}

fn a_time_to_live_is_a_number_of_seconds(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let alice = house.alice();
    let for_s = |ttl_s: f64| alice.push(Push { ttl_s: Some(ttl_s), ..push("k", "1") });
    let there = || alice.entries(&EntryQuery::default()).len();
    for ends in [-1.0, -1e308, -5e-324] {
        for_s(60.0).unwrap();
        assert_eq!(for_s(ends).unwrap().ttl_s, Some(ends));
        house.clock.advance_s(1);
        assert_eq!(there(), 0, "{ends}");
    }
    for_s(60.0).unwrap();
    let before = format!("{:?}", everything(alice));
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(code(for_s(wrong)), Some(Code::Invalid), "{wrong}");
        let entry = alice.entries(&EntryQuery::default()).remove(0);
        let put = alice.write(|writer| writer.put_context(Entry { ttl_s: Some(wrong), ..entry }));
        assert_eq!(code(put), Some(Code::Invalid), "{wrong}");
    }
    assert_eq!(format!("{:?}", everything(alice)), before);
    for lasts in [1e308, f64::MAX, 1e18] {
        for_s(lasts).unwrap();
        house.clock.advance_s(100_000_000);
        assert_eq!(there(), 1, "{lasts}");
    }
    // At once, but not before: the moment of writing is its last.
    for_s(0.0).unwrap();
    assert_eq!(there(), 1);
    house.clock.advance_s(1);
    assert_eq!(there(), 0);
}

/// Few rows can tell much: an agent stands with each topic that it follows.
#[test]
fn an_answer_that_would_fill_the_memory_is_refused() {
    let house = House::quick(&ENCRYPTED, |_| {});
    let alice = house.alice();
    let topics = distinct_names(100, 10);
    alice
        .write(|writer| {
            distinct_names(20, 60_000).iter().try_for_each(|agent| writer.subscribe(agent, topics.clone()).map(drop))
        })
        .unwrap();
    assert_eq!(code(alice.read(|reader| reader.context_topics())), Some(Code::TooLarge));
    assert_eq!(alice.read(|reader| reader.context_agents()).unwrap().len(), 20);
    alice.write(|writer| writer.clear_context()).unwrap();

    for key in distinct_names(9, 1 << 20) {
        alice.push(Push { topics: topics.clone(), ..Push::new(key, Json::of("1").unwrap()) }).unwrap();
    }
    let bounded = |bytes_max| EntryQuery { bytes_max: Some(bytes_max), ..EntryQuery::default() };
    let list = |bytes_max| alice.read(|reader| reader.list_context(&bounded(bytes_max)));
    let read = |bytes_max| alice.read(|reader| reader.context_entries(&bounded(bytes_max), &mut |_| Ok(())));
    assert_eq!((code(list(9 << 20)), code(read(9 << 20))), (Some(Code::TooLarge), Some(Code::TooLarge)));
    assert_eq!((code(list(10 << 20)), code(read(10 << 20))), (None, None));
}
