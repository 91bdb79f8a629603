//! Vectors once more in a column of pgvector's type: for those who search with SQL, each of whom sees their own; and the
//! server, which does without, is as exact as it is there.

use std::collections::BTreeSet;

use locule_core::memory::{Change, NewMemory};
use locule_store::vector::{decode, encode};
use locule_store::{Migration, PostgresLayout};

use crate::house::{DATABASE, DIMENSION, Dice, House, Layout, On, RLS, RLS_PGVECTOR, SCHEMA, User, embed, model};

const SCHEMA_PGVECTOR: Layout = Layout { on: Some(On::Pgvector), ..SCHEMA };
const DATABASE_PGVECTOR: Layout = Layout { on: Some(On::Pgvector), ..DATABASE };

fn with_pgvector() -> Migration {
    Migration { pgvector: true, ..Migration::default() }
}

/// As the extension writes one.
fn text(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// What a request of somebody's through PostgREST answers.
fn as_postgrest(house: &House, subject: &str, sql: &str) -> String {
    let claims = serde_json::json!({ "sub": subject, "role": "authenticated" });
    house.psql(&format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
         SELECT set_config('search_path', 'public, extensions', true), set_config('statement_timeout', '8s', true),
             set_config('role', 'authenticated', true), set_config('request.jwt.claims', '{claims}', true),
             set_config('request.method', 'GET', true), set_config('request.path', '/memories', true) \\g /dev/null
         {sql};
         COMMIT"
    ))
}

/// The ids of the nearest, as SQL finds them.
fn nearest(house: &House, subject: &str, to: &[f32], limit: usize) -> Vec<String> {
    let sql = format!(
        "SELECT id FROM memories JOIN memory_vectors USING (user_id, number) ORDER BY vector <=> '{}', id LIMIT {limit}",
        text(to)
    );
    as_postgrest(house, subject, &sql).lines().map(str::to_owned).collect()
}

fn add(user: User, vectors: impl Iterator<Item = Vec<f32>>) {
    let memories: Vec<_> = vectors
        .enumerate()
        .map(|(index, vector)| NewMemory {
            embedding: Some(vector),
            ..NewMemory::text(user.canary(&format!("number {index}")))
        })
        .collect();
    for some in memories.chunks(1_000) {
        user.try_add(some.to_vec()).unwrap();
    }
}

/// Close to a direction, the closer the smaller the distance.
fn near(dice: &mut Dice, to: &[f32], distance: f32) -> Vec<f32> {
    let noise = dice.vector(to.len());
    to.iter().zip(noise).map(|(part, noise)| part + distance * noise).collect()
}

#[test]
fn both_columns_say_the_same_bit_for_bit() {
    let house = House::quick(&RLS_PGVECTOR, |_| {});
    let mut dice = Dice::new(7);
    // Numbers of all sizes: the smallest are below what half precision writes with a leading one.
    let vectors = (0..50).map(|round| {
        let mut vector = dice.vector(DIMENSION);
        vector.iter_mut().enumerate().for_each(|(place, part)| *part *= 0.5_f32.powi((place * round % 26) as i32));
        vector[round % DIMENSION] = 1.0;
        vector
    });
    add(house.alice(), vectors.chain(std::iter::once([vec![0.0; DIMENSION - 1], vec![-3.0]].concat())));
    let rows = house.psql("SELECT encode(embedding, 'hex') || ' ' || vector::text FROM memory_vectors");
    assert_eq!(rows.lines().count(), 51);
    for row in rows.lines() {
        let (bytes, column) = row.split_once(' ').unwrap();
        let own = decode(&data_encoding::HEXLOWER.decode(bytes.as_bytes()).unwrap());
        let column: Vec<f32> = column.trim_matches(['[', ']']).split(',').map(|part| part.parse().unwrap()).collect();
        assert_eq!(column, own);
    }
}

#[test]
fn through_sql_each_finds_all_of_their_own_and_nothing_else() {
    let house = House::quick(&RLS_PGVECTOR, |_| {});
    let mut dice = Dice::new(11);
    let sizes = [1_500, 400, 90, 30, 10, 3, 1];
    let names: Vec<String> = (0..sizes.len()).map(|index| format!("user-{index}")).collect();
    let centre = dice.vector(DIMENSION);
    for (name, size) in names.iter().zip(sizes) {
        // The larger, the closer to what everybody asks about.
        let distance = 2.0 / (size as f32).sqrt();
        let vectors: Vec<_> = (0..size).map(|_| near(&mut dice, &centre, distance)).collect();
        add(house.user(name), vectors.into_iter());
    }
    for (name, size) in names.iter().zip(sizes) {
        let own: Vec<(String, Vec<f32>)> = vectors_of(&house, name);
        assert_eq!(own.len(), size, "{name}");
        for round in 0..5 {
            let query = near(&mut dice, &centre, 0.3 * round as f32);
            let found = nearest(&house, name, &query, 10).into_iter().collect::<BTreeSet<_>>();
            assert_eq!((found.len(), &found), (size.min(10), &exactly(&own, &query, true)), "{name} by SQL");
            let hits = house.user(name).search(&query, 10).unwrap();
            let found = hits.iter().map(|hit| hit.memory.id.to_string()).collect::<BTreeSet<_>>();
            assert_eq!((found.len(), &found), (size.min(10), &exactly(&own, &query, false)), "{name}");
        }
        let others = format!("SELECT count(*) FROM memory_vectors WHERE user_id <> '{name}'");
        assert_eq!(as_postgrest(&house, name, &others), "0");
    }
    let plan = "EXPLAIN (COSTS OFF) SELECT number FROM memory_vectors ORDER BY vector <=> (SELECT vector FROM memory_vectors LIMIT 1)";
    assert!(as_postgrest(&house, "user-5", plan).contains("memory_vectors_pkey"), "their own rows, and then in order");
    let indexes = "SELECT count(*) FROM pg_class JOIN pg_am ON pg_am.oid = relam WHERE amname IN ('hnsw', 'ivfflat')";
    assert_eq!(house.psql(indexes), "0");
}

/// Somebody's vectors as they are kept, each with the id of its memory.
fn vectors_of(house: &House, subject: &str) -> Vec<(String, Vec<f32>)> {
    let rows = house.psql(&format!(
        "SELECT id || ' ' || encode(embedding, 'hex') FROM memories JOIN memory_vectors USING (user_id, number)
         WHERE user_id = '{subject}'"
    ));
    let row = |line: &str| {
        let (id, bytes) = line.split_once(' ').unwrap();
        (id.to_owned(), decode(&data_encoding::HEXLOWER.decode(bytes.as_bytes()).unwrap()))
    };
    rows.lines().map(row).collect()
}

/// The nearest, by plain arithmetic: for the extension, which measures the length of a vector once more, and for the server,
/// which has made it 1 and rounded.
fn exactly(all: &[(String, Vec<f32>)], to: &[f32], measures: bool) -> BTreeSet<String> {
    let dot = |one: &[f32], other: &[f32]| -> f64 {
        one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    let length = |own: &[f32]| if measures { dot(own, own).sqrt() } else { 1.0 };
    let mut scored: Vec<_> = all.iter().map(|(id, own)| (dot(own, to) / length(own), id)).collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    scored.into_iter().take(10).map(|(_, id)| id.clone()).collect()
}

/// Thirty memories, and twenty thousand of somebody else's that are all closer.
#[test]
fn a_minority_behind_a_crowd_gets_all_it_has() {
    let house = House::quick(&RLS_PGVECTOR, |_| {});
    let mut dice = Dice::new(13);
    let query = dice.vector(DIMENSION);
    add(house.alice(), std::iter::once(query.clone()));
    let rows: Vec<_> = (2..=20_000)
        .map(|number| {
            let row = encode(&near(&mut dice, &query, 0.01)).unwrap();
            format!("({number}, '\\x{}'::bytea)", data_encoding::HEXLOWER.encode(&row))
        })
        .collect();
    // As the server writes them, all at once.
    house.psql(&format!(
        "BEGIN;
         SELECT set_config('role', 'rls_pgvector_user', true),
             set_config('request.jwt.claims', '{{\"sub\": \"alice\"}}', true) \\g /dev/null
         INSERT INTO memories (number, id, memory, hash, created_at, updated_at)
             SELECT n, locule.new_id(), n || ' canary-of-alice', md5(n || ' canary-of-alice'), now(), now()
             FROM generate_series(2, 20000) AS n;
         INSERT INTO memory_vectors (number, embedding) VALUES {};
         UPDATE space_state SET revision = revision + 1, memories = 20000;
         COMMIT",
        rows.join(",")
    ));
    add(house.bob(), (0..30).map(|_| near(&mut dice, &query, 3.0)).collect::<Vec<_>>().into_iter());

    let own: BTreeSet<String> = house.bob().all().iter().map(|memory| memory.id.to_string()).collect();
    assert_eq!(own.len(), 30);
    assert_eq!(nearest(&house, "bob", &query, 30).into_iter().collect::<BTreeSet<_>>(), own, "by SQL");
    let hits = house.bob().search(&query, 30).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.memory.id.to_string()).collect::<BTreeSet<_>>(), own, "by the server");
    assert_eq!(nearest(&house, "alice", &query, 10).len(), 10);
    assert_eq!(house.alice().search(&query, 10).unwrap().len(), 10);

    // With an index of Alice's own (as docs/sql.md has it) she finds the nearest by it, and Bob all of his without.
    house.psql(&format!(
        "CREATE INDEX memory_vectors_near_1 ON memory_vectors
         USING hnsw ((vector::extensions.halfvec({DIMENSION})) extensions.halfvec_cosine_ops) WHERE user_id = 'alice'"
    ));
    let by_index = |subject: &str, before: &str| {
        let sql = format!(
            "{before} SELECT number FROM memory_vectors WHERE user_id = '{subject}'
             ORDER BY vector::halfvec({DIMENSION}) <=> '{}' LIMIT 30",
            text(&query)
        );
        as_postgrest(&house, subject, &sql)
    };
    assert!(by_index("alice", "EXPLAIN (COSTS OFF)").contains("memory_vectors_near_1"));
    assert_eq!(by_index("alice", "").lines().count(), 30);
    assert!(!by_index("bob", "EXPLAIN (COSTS OFF)").contains("memory_vectors_near_1"));
    assert_eq!(by_index("bob", "").lines().count(), 30);
    assert_eq!(nearest(&house, "bob", &query, 30).into_iter().collect::<BTreeSet<_>>(), own, "beside the index");
}

/// How many vectors a user has, and how many of them stand in the second column, as a superuser sees it.
fn counted(house: &House, layout: &Layout, user: User) -> String {
    let sql = "SELECT count(*) || ' ' || count(vector) FROM memory_vectors";
    let name = user.space().name();
    match layout.postgres {
        Some(PostgresLayout::Schema) => house.psql(&format!("SET search_path = s_{name}; {sql}")),
        Some(PostgresLayout::Database) => {
            house.psql_in(&format!("d_{name}"), &format!("SET search_path = space; {sql}"))
        }
        _ => house.psql(&format!("{sql} WHERE user_id = '{}'", user.name)),
    }
}

fn it_is_kept_by_whoever_writes(layout: &Layout) {
    let house = House::quick(layout, |_| {});
    house.bob().add("looks on");
    let (kept, changed) = (house.alice().add("kept"), house.alice().add("changed"));
    assert_eq!(counted(&house, layout, house.alice()), "2 2");
    let change = Change { memory: Some(house.alice().canary("other")), ..Change::default() };
    let row = encode(&embed("other")).unwrap();
    house.alice().write(|writer| writer.update(&model(), changed.id, &change, Some(row.clone()))).unwrap();
    assert_eq!(counted(&house, layout, house.alice()), "2 2");
    if layout.postgres == Some(PostgresLayout::Rls) {
        let found = nearest(&house, "alice", &decode(&row), 1);
        assert_eq!(found, [changed.id.to_string()]);
    }
    house.alice().write(|writer| writer.delete(kept.id)).unwrap();
    assert_eq!(
        (counted(&house, layout, house.alice()), counted(&house, layout, house.bob())),
        ("1 1".into(), "1 1".into())
    );
}

#[test]
fn whoever_writes_keeps_both_columns() {
    for layout in [RLS_PGVECTOR, SCHEMA_PGVECTOR, DATABASE_PGVECTOR] {
        it_is_kept_by_whoever_writes(&layout);
    }
}

#[test]
fn what_is_sealed_stands_in_none() {
    for layout in [RLS_PGVECTOR, SCHEMA_PGVECTOR, DATABASE_PGVECTOR] {
        let layout = Layout { sealed: true, ..layout };
        let house = House::quick(&layout, |_| {});
        let memory = house.alice().add("sealed");
        assert_eq!(counted(&house, &layout, house.alice()), "1 0");
        assert!(house.migrate_as(&with_pgvector()).pgvector);
        assert_eq!(counted(&house, &layout, house.alice()), "1 0");
        assert_eq!(house.alice().all(), [memory]);
    }
}

/// What comes, goes and comes again while servers run.
fn it_comes_and_goes(layout: &Layout) {
    let mut house = House::quick(layout, |_| {});
    let before = house.alice().add("before");
    assert!(!house.psql("SELECT count(*) FROM pg_extension WHERE extname = 'vector'").contains('1'));
    for round in 1..=2 {
        assert!(house.migrate_as(&with_pgvector()).pgvector);
        assert_eq!(counted(&house, layout, house.alice()), format!("{round} {round}"));
        house.user(&format!("new-{round}")).add("later");
        assert_eq!(counted(&house, layout, house.user(&format!("new-{round}"))), "1 1");

        let database = match layout.postgres {
            Some(PostgresLayout::Database) => Some(format!("d_{}", house.alice().space().name())),
            _ => None,
        };
        let drop = "DROP EXTENSION vector CASCADE";
        match &database {
            Some(database) => house.psql_in(database, drop),
            None => house.psql(drop),
        };
        house.reopen();
        house.alice().add(&format!("without it {round}"));
    }
    assert_eq!(house.alice().all().len(), 3);
    assert_eq!(house.alice().search(&embed(&before.memory), 1).unwrap()[0].memory, before);
}

#[test]
fn an_extension_may_come_later_and_go_again() {
    for layout in [RLS, SCHEMA] {
        it_comes_and_goes(&Layout { on: Some(On::Eighteen), ..layout });
    }
}

#[test]
fn nobody_writes_the_second_column_and_strangers_see_none() {
    let house = House::quick(&RLS_PGVECTOR, |_| {});
    house.alice().add("hers");
    house.bob().add("his");
    assert_eq!(as_postgrest(&house, "alice", "SELECT count(*), count(vector) FROM memory_vectors"), "1|1");
    assert_eq!(as_postgrest(&house, "nobody", "SELECT count(*) FROM memory_vectors"), "0");
    assert_eq!(as_postgrest(&house, "", "SELECT count(*) FROM memory_vectors"), "0");
    for privilege in ["INSERT", "UPDATE", "DELETE"] {
        let may = format!("SELECT has_table_privilege('authenticated', 'memory_vectors', '{privilege}')");
        assert_eq!(house.psql(&may), "f");
    }
    for role in ["anon", "rls_pgvector_directory", "rls_pgvector_api"] {
        assert_eq!(
            house.psql(&format!("SELECT has_table_privilege('{role}', 'memory_vectors', 'SELECT')")),
            "f",
            "{role}"
        );
    }
    let written = "SELECT bool_or(has_column_privilege(rolname, 'memory_vectors', 'vector', 'INSERT, UPDATE'))
                   FROM pg_roles WHERE rolname IN ('authenticated', 'rls_pgvector_user', 'service_role')";
    assert_eq!(house.psql(written), "f");
}
