//! Filters, compared with what plain Rust makes of them.

use std::cmp;

use jiff::Timestamp;
use locule_core::filter::{Field, Filter, Ordering, Scalar, Test};
use locule_core::id::MemoryId;
use locule_core::limit;
use locule_core::memory::{Memory, NewMemory};
use serde_json::{Map, Value, json};

use crate::house::{Dice, House, Layout, filter, noon};

for_each_layout! {
    every_filter_agrees_with_plain_arithmetic
    a_key_is_only_a_key
    kinds_never_compare_across
    a_filter_may_be_as_large_as_its_bounds
    only_texts_hold_texts
    a_filter_finds_only_its_owners_memories
}

/// What a field holds, for [`holds`].
enum Held {
    Nothing,
    Json(Value),
    Time(Timestamp),
    Id(MemoryId),
}

fn holds(filter: &Filter, memory: &Memory) -> bool {
    match filter {
        Filter::All(filters) => filters.iter().all(|filter| holds(filter, memory)),
        Filter::Any(filters) => filters.iter().any(|filter| holds(filter, memory)),
        Filter::Not(filter) => !holds(filter, memory),
        Filter::Field(Field::Categories, Test::NotIn(values)) => {
            !memory.categories.iter().any(|category| values.contains(&Scalar::Text(category.clone())))
        }
        Filter::Field(Field::Categories, Test::Contains { text, fold_case }) => {
            memory.categories.iter().any(|category| same(category, text, *fold_case))
        }
        Filter::Field(Field::Categories, test) => {
            memory.categories.iter().any(|category| passes(&Held::Json(category.as_str().into()), test))
        }
        Filter::Field(field, test) => passes(&held(field, memory), test),
    }
}

fn held(field: &Field, memory: &Memory) -> Held {
    let label = |label: &Option<String>| label.as_deref().map_or(Held::Nothing, |label| Held::Json(label.into()));
    match field {
        Field::Id => Held::Id(memory.id),
        Field::Memory => Held::Json(memory.memory.as_str().into()),
        Field::AgentId => label(&memory.agent_id),
        Field::RunId => label(&memory.run_id),
        Field::AppId => label(&memory.app_id),
        Field::CreatedAt => Held::Time(memory.created_at),
        Field::UpdatedAt => Held::Time(memory.updated_at),
        Field::Expiration => memory.expiration.map_or(Held::Nothing, Held::Time),
        Field::Categories => unreachable!(),
        Field::Metadata(path) => {
            let mut value = &Value::Object(memory.metadata.clone());
            for key in path {
                match value.as_object().and_then(|object| object.get(key)) {
                    Some(inner) => value = inner,
                    None => return Held::Nothing,
                }
            }
            if value.is_null() { Held::Nothing } else { Held::Json(value.clone()) }
        }
    }
}

fn passes(held: &Held, test: &Test) -> bool {
    match test {
        Test::In(values) => values.iter().any(|value| compare(held, value) == Some(cmp::Ordering::Equal)),
        Test::NotIn(values) => !values.iter().any(|value| compare(held, value) == Some(cmp::Ordering::Equal)),
        Test::Compare(ordering, value) => compare(held, value).is_some_and(|found| match ordering {
            Ordering::Less => found.is_lt(),
            Ordering::LessOrEqual => found.is_le(),
            Ordering::Greater => found.is_gt(),
            Ordering::GreaterOrEqual => found.is_ge(),
        }),
        Test::Contains { text, fold_case } => match held {
            Held::Json(Value::String(held)) if *fold_case => {
                held.to_ascii_lowercase().contains(&text.to_ascii_lowercase())
            }
            Held::Json(Value::String(held)) => held.contains(text),
            Held::Json(Value::Array(items)) => {
                items.iter().any(|item| item.as_str().is_some_and(|item| same(item, text, *fold_case)))
            }
            _ => false,
        },
        Test::Present => !matches!(held, Held::Nothing),
    }
}

fn same(one: &str, other: &str, fold_case: bool) -> bool {
    if fold_case { one.eq_ignore_ascii_case(other) } else { one == other }
}

fn compare(held: &Held, value: &Scalar) -> Option<cmp::Ordering> {
    match (held, value) {
        (Held::Json(Value::Bool(held)), Scalar::Bool(value)) => Some(held.cmp(value)),
        (Held::Json(Value::Number(held)), Scalar::Integer(value)) => held.as_f64()?.partial_cmp(&(*value as f64)),
        (Held::Json(Value::Number(held)), Scalar::Float(value)) => held.as_f64()?.partial_cmp(value),
        (Held::Json(Value::String(held)), Scalar::Text(value)) => Some(held.as_bytes().cmp(value.as_bytes())),
        (Held::Time(held), Scalar::Time(value)) => Some(held.cmp(value)),
        (Held::Id(held), Scalar::Text(value)) => value.parse().ok().map(|value: MemoryId| held.cmp(&value)),
        _ => None,
    }
}

const KEYS: &[&str] = &[
    "kind",
    "a.b",
    "a\"b",
    "\"",
    "\\",
    "a\\\"b",
    "$",
    "$.kind",
    "[0]",
    "a[1]",
    "#",
    "-1",
    "a b",
    "ключ",
    "é",
    "😀",
    "",
    "'",
    "%",
    "key\nline",
    "\u{1}",
    "/",
    "user_id",
    "value",
    "NULL",
    "--",
    "));DROP TABLE memories;--",
];
const TEXTS: &[&str] = &[
    "tea",
    "Tea",
    "coffee",
    "5",
    "true",
    "null",
    "",
    "ÄÖ",
    "äö",
    "'; --",
    "%",
    "te_",
    "\"q\"",
    "2026-11-24T12:00:00Z",
];
const LABELS: &[&str] = &["chef", "Chef", "nurse", "a'b", "%"];

fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.below(9) {
        0 => Value::Null,
        1 => (dice.below(2) == 0).into(),
        2 | 3 => (dice.below(7) as i64 - 3).into(),
        4 => (dice.below(7) as f64 / 2.0 - 1.5).into(),
        5 if depth > 0 => (0..dice.below(3)).map(|_| value(dice, 0)).collect(),
        6 if depth > 0 => object(dice, depth - 1).into(),
        _ => (*dice.pick(TEXTS)).into(),
    }
}

fn object(dice: &mut Dice, depth: usize) -> Map<String, Value> {
    (0..dice.below(6)).map(|_| ((*dice.pick(KEYS)).to_owned(), value(dice, depth))).collect()
}

fn moment(dice: &mut Dice) -> Timestamp {
    Timestamp::from_second(noon().as_second() + dice.below(6) as i64 * 60).unwrap()
}

fn memories(dice: &mut Dice, house: &House) -> Vec<Memory> {
    for batch in 0..10 {
        let label = |dice: &mut Dice| (!dice.one_in(3)).then(|| (*dice.pick(LABELS)).to_owned());
        let batch: Vec<_> = (0..20)
            .map(|n| NewMemory {
                agent_id: label(dice),
                run_id: label(dice),
                app_id: label(dice),
                categories: (0..dice.below(3)).map(|_| (*dice.pick(LABELS)).to_owned()).collect(),
                metadata: object(dice, 2),
                expiration: dice.one_in(3).then(|| Timestamp::from_second(moment(dice).as_second() + 3600).unwrap()),
                ..NewMemory::text(house.alice().canary(&format!("{} {batch}-{n}", dice.pick(TEXTS))))
            })
            .collect();
        house.alice().try_add(batch.clone()).unwrap();
        let of_bob =
            batch.into_iter().map(|memory| NewMemory { memory: format!("{} canary-of-bob", memory.memory), ..memory });
        house.bob().try_add(of_bob.collect()).unwrap();
        house.clock.advance_s(60);
    }
    house.alice().all()
}

fn generated(dice: &mut Dice, all: &[Memory], depth: usize) -> Filter {
    match dice.below(if depth == 0 { 6 } else { 10 }) {
        6 => Filter::All((0..dice.below(4)).map(|_| generated(dice, all, depth - 1)).collect()),
        7 => Filter::Any((0..dice.below(4)).map(|_| generated(dice, all, depth - 1)).collect()),
        8 | 9 => Filter::Not(Box::new(generated(dice, all, depth - 1))),
        _ => condition(dice, all),
    }
}

fn condition(dice: &mut Dice, all: &[Memory]) -> Filter {
    let field = match dice.below(14) {
        0 => Field::Id,
        1 => Field::Memory,
        2 => Field::AgentId,
        3 => Field::RunId,
        4 => Field::AppId,
        5 => Field::Categories,
        6 => Field::CreatedAt,
        7 => Field::UpdatedAt,
        8 => Field::Expiration,
        _ => Field::Metadata((0..1 + dice.below(2)).map(|_| (*dice.pick(KEYS)).to_owned()).collect()),
    };
    let scalar = |dice: &mut Dice| match &field {
        Field::Id if dice.one_in(5) => Scalar::Text("no id".to_owned()),
        Field::Id => Scalar::Text(dice.pick(all).id.to_string()),
        Field::CreatedAt | Field::UpdatedAt => Scalar::Time(moment(dice)),
        Field::Expiration => Scalar::Time(Timestamp::from_second(moment(dice).as_second() + 3600).unwrap()),
        Field::Memory => Scalar::Text(dice.pick(all).memory.clone()),
        Field::Metadata(_) => match value(dice, 0) {
            Value::Bool(truth) => Scalar::Bool(truth),
            Value::Number(number) => number.as_i64().map_or(Scalar::Float(number.as_f64().unwrap()), Scalar::Integer),
            Value::String(text) => Scalar::Text(text),
            _ => Scalar::Text("tea".to_owned()),
        },
        _ => Scalar::Text((*dice.pick(LABELS)).to_owned()),
    };
    let orderings = [Ordering::Less, Ordering::LessOrEqual, Ordering::Greater, Ordering::GreaterOrEqual];
    let test = match dice.below(6) {
        0 => Test::In((0..dice.below(4)).map(|_| scalar(dice)).collect()),
        1 => Test::NotIn((0..dice.below(4)).map(|_| scalar(dice)).collect()),
        2 | 3 => Test::Compare(*dice.pick(&orderings), scalar(dice)),
        4 => Test::Contains { text: (*dice.pick(&[TEXTS, LABELS].concat())).to_owned(), fold_case: dice.below(2) == 0 },
        _ => Test::Present,
    };
    Filter::Field(field, test)
}

fn every_filter_agrees_with_plain_arithmetic(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let mut dice = Dice::new(42);
    let all = memories(&mut dice, &house);
    assert!(all.len() >= 195, "{}", all.len());
    let mut telling = 0;
    for round in 0..400 {
        let filter = generated(&mut dice, &all, 3);
        let expected: Vec<_> = all.iter().filter(|memory| holds(&filter, memory)).map(|memory| memory.id).collect();
        let found: Vec<_> = house.alice().matching(&filter).iter().map(|memory| memory.id).collect();
        assert_eq!(found, expected, "filter {round}: {filter:?}");
        assert_eq!(house.alice().read(|reader| reader.count(Some(&filter))).unwrap() as usize, expected.len());
        telling += usize::from(!expected.is_empty() && expected.len() < all.len());
    }
    assert!(telling > 100, "{telling}");
}

fn a_key_is_only_a_key(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    for user in [house.alice(), house.bob()] {
        let batch = KEYS.iter().map(|key| {
            let metadata = json!({*key: "here", "outer": {*key: "inner"}});
            NewMemory {
                metadata: metadata.as_object().unwrap().clone(),
                ..NewMemory::text(user.canary(&format!("key {key:?}")))
            }
        });
        user.try_add(batch.collect()).unwrap();
    }
    for key in KEYS {
        for (path, text) in [(vec![*key], "here"), (vec!["outer", key], "inner")] {
            let path = path.into_iter().map(str::to_owned).collect();
            let found = house
                .alice()
                .matching(&Filter::Field(Field::Metadata(path), Test::In(vec![Scalar::Text(text.into())])));
            assert_eq!(found.len(), 1, "{key:?}");
            assert_eq!(found[0].memory, house.alice().canary(&format!("key {key:?}")));
        }
    }
}

fn kinds_never_compare_across(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let kinds =
        [json!(1), json!(1.0), json!("1"), json!(true), json!("true"), json!(null), json!([1]), json!({"1": 1})];
    for user in [house.alice(), house.bob()] {
        let batch = kinds.iter().map(|kind| NewMemory {
            metadata: json!({"k": kind}).as_object().unwrap().clone(),
            ..NewMemory::text(user.canary(&kind.to_string()))
        });
        user.try_add(batch.collect()).unwrap();
    }
    for (condition, count) in [
        (json!(1), 2),
        (json!("1"), 1),
        (json!(true), 1),
        (json!("true"), 1),
        (json!({"gte": 0}), 2),
        (json!({"lt": "z"}), 2),
        (json!({"gte": false}), 1),
        (json!({"ne": 1}), 6),
        (json!("*"), 7),
        (json!({"eq": null}), 1),
        (json!({"contains": "1"}), 1),
    ] {
        assert_eq!(house.alice().matching(&filter(json!({"metadata.k": condition}))).len(), count, "{condition}");
    }
}

fn a_filter_may_be_as_large_as_its_bounds(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    house.bob().add("looks on");
    let memory = house.alice().add("found");
    let many =
        |text: &str| -> Vec<Value> { (1..limit::FILTER_VALUES.max).map(|n| format!("{text}{n}").into()).collect() };
    let with = |mut values: Vec<Value>, own: Value| {
        values.push(own);
        values
    };
    let each = json!({"OR": [
        {"memory": {"in": with(many("m"), memory.memory.clone().into())}},
        {"id": {"in": with(many("i"), memory.id.to_string().into())}},
        {"metadata.k": {"in": many("k")}},
        {"metadata.k": {"in": (0..limit::FILTER_VALUES.max).collect::<Vec<_>>()}},
        {"categories": {"in": many("c")}},
        {"created_at": {"in": vec!["2026-11-24"; limit::FILTER_VALUES.max]}},
    ]});
    let widest = limit::FILTER_NODES.max / 6;
    assert_eq!(house.alice().matching(&filter(json!({"AND": vec![each; widest]}))), std::slice::from_ref(&memory));
    let deepest = (2..limit::FILTER_DEPTH.max).fold(json!({"memory": "*"}), |inner, _| json!({"NOT": inner}));
    assert_eq!(house.alice().matching(&filter(deepest)), std::slice::from_ref(&memory));
    let conditions = vec![json!({"metadata": {"k": {"nin": ["x"]}}}); limit::FILTER_NODES.max];
    assert_eq!(house.alice().matching(&filter(json!({"AND": conditions}))), [memory]);
}

fn only_texts_hold_texts(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    house.bob().add("1");
    let memory = house.alice().add("1");
    for field in ["id", "created_at", "updated_at", "expiration"] {
        for text in ["", "1", &memory.id.to_string()] {
            assert_eq!(house.alice().matching(&filter(json!({field: {"contains": text}}))), [], "{field} {text:?}");
        }
    }
    for operator in ["gt", "gte", "lt", "lte", "eq"] {
        assert_eq!(house.alice().matching(&filter(json!({"id": {operator: "no id"}}))), []);
    }
}

fn a_filter_finds_only_its_owners_memories(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    let (of_alice, of_bob) = (house.alice().add("common words"), house.bob().add("common words"));
    for condition in [json!({}), json!({"memory": {"contains": "common"}}), json!({"NOT": {"agent_id": "x"}})] {
        assert_eq!(house.alice().matching(&filter(condition)), std::slice::from_ref(&of_alice));
    }
    assert_eq!(house.alice().matching(&filter(json!({"id": of_bob.id.to_string()}))), []);
    assert_eq!(house.user("nobody-yet").matching(&filter(json!({}))), []);
}
