//! Organisations and the knowledge of agents: for people who come through PostgREST, and for nobody by way of the server.

use crate::place::{Place, Who};

rules! { acme;
    members_read_what_the_organisation_has
    a_tag_is_a_claim_until_its_author_may_write_there
    who_may_write_changes_and_who_may_not_does_not
    only_admins_delete_what_others_wrote
    who_leaves_is_out_at_once
    nobody_names_two_organisations_with_one_word
    memberships_are_the_services
    a_memory_is_shared_by_its_owner_with_an_organisation_of_theirs
    what_is_shared_in_metadata_is_not_shared
    somebody_in_two_organisations_reads_both
    the_server_sees_the_callers_own_and_nothing_else
    knowledge_of_agents_is_read_by_all_and_written_by_the_service
    ones_own_memory_of_an_agent_is_ones_own
    the_pages_on_statistics_run_as_they_are
    an_organisation_is_found_by_index
}

const ACME: &str = "0a000000-0000-4000-8000-000000000001";
const GLOBEX: &str = "0b000000-0000-4000-8000-000000000002";

/// Alice administers Acme, Ann is a member and Vic a viewer of it; Gus owns Globex; Bob belongs nowhere.
fn acme(flavour: locule_testbed::Flavour) -> Place {
    let place = Place::new(flavour);
    place.commit(
        Who::Service,
        &format!(
            "INSERT INTO organizations (id, name, slug) VALUES ('{ACME}', 'Acme', 'acme-corp'), ('{GLOBEX}', 'Globex', 'globex-inc');
             INSERT INTO org_members (org_id, user_id, role) VALUES ('{ACME}', 'alice', 'admin'), ('{ACME}', 'ann', 'member'),
                 ('{ACME}', 'vic', 'viewer'), ('{GLOBEX}', 'gus', 'owner')"
        ),
    );
    place.commit(
        Who::Rest("ann"),
        &format!(
            "INSERT INTO memories (memory, metadata) VALUES ('Acme by slug', '{{\"org_id\": \"acme-corp\"}}'),
                 ('Acme by id', '{{\"org_id\": \"{ACME}\"}}'), ('Ann alone', '{{}}')"
        ),
    );
    place
}

const READ: &str = "SELECT string_agg(memory, ',' ORDER BY memory) FROM memories";

fn denied(place: &Place, who: Who, sql: &str) {
    assert_eq!(place.ask(who, sql), Err("42501".to_owned()), "{sql}");
}

fn members_read_what_the_organisation_has(place: &Place) {
    for member in ["alice", "vic"] {
        assert_eq!(place.see(Who::Rest(member), READ), "Acme by id,Acme by slug");
    }
    for stranger in ["bob", "gus"] {
        assert_eq!(place.see(Who::Rest(stranger), READ), "");
    }
}

fn a_tag_is_a_claim_until_its_author_may_write_there(place: &Place) {
    for stranger in ["bob", "gus", "vic"] {
        for tag in ["acme-corp", ACME, "no-such-thing"] {
            denied(
                place,
                Who::Rest(stranger),
                &format!("INSERT INTO memories (memory, metadata) VALUES ('poison', '{{\"org_id\": \"{tag}\"}}')"),
            );
            denied(
                place,
                Who::Rest(stranger),
                &format!(
                    "INSERT INTO memories (memory) VALUES ('bait');
                     UPDATE memories SET metadata = '{{\"org_id\": \"{tag}\"}}' WHERE memory = 'bait'"
                ),
            );
        }
    }
    // Neither in somebody else's name, whatever one may do in the organisation.
    denied(
        place,
        Who::Rest("alice"),
        "INSERT INTO memories (user_id, memory, metadata) VALUES ('ann', 'x', '{\"org_id\": \"acme-corp\"}')",
    );
    let own = "INSERT INTO memories (memory, metadata) VALUES ('fine', '{\"org_id\": \"acme-corp\"}') RETURNING metadata ->> 'org_id'";
    assert_eq!(place.see(Who::Rest("alice"), own), "acme-corp");
}

fn who_may_write_changes_and_who_may_not_does_not(place: &Place) {
    let change = "UPDATE memories SET memory = 'Acme changed' WHERE memory = 'Acme by id' RETURNING 1";
    assert_eq!(place.see(Who::Rest("alice"), change), "1");
    for reader in ["vic", "gus", "bob"] {
        assert_eq!(place.see(Who::Rest(reader), change), "");
    }
    // What somebody else wrote is not carried out of the organisation, nor into another.
    for tag in ["{}", "{\"org_id\": \"globex-inc\"}"] {
        denied(
            place,
            Who::Rest("alice"),
            &format!("UPDATE memories SET metadata = '{tag}' WHERE memory = 'Acme by id'"),
        );
    }
    // The history of a change by somebody else is its owner's, and says who it was.
    place.commit(
        Who::Rest("alice"),
        &format!("{change}; UPDATE memories SET memory = 'Acme by id' WHERE memory = 'Acme changed'"),
    );
    let past = "SELECT DISTINCT operation, actor FROM memory_history WHERE operation = 'update'";
    assert_eq!(place.see(Who::Rest("ann"), past), "update|alice");
    assert_eq!(place.see(Who::Rest("alice"), past), "");
}

fn only_admins_delete_what_others_wrote(place: &Place) {
    let delete = "DELETE FROM memories WHERE memory = 'Acme by slug' RETURNING 1";
    for other in ["vic", "gus", "bob"] {
        assert_eq!(place.see(Who::Rest(other), delete), "");
    }
    place.commit(
        Who::Service,
        &format!("INSERT INTO org_members (org_id, user_id, role) VALUES ('{ACME}', 'max', 'member')"),
    );
    assert_eq!(place.see(Who::Rest("max"), delete), "");
    assert_eq!(place.see(Who::Rest("alice"), delete), "1");
    assert_eq!(place.see(Who::Rest("ann"), delete), "1");
    place.commit(Who::Service, "DELETE FROM org_members WHERE user_id = 'max'");
}

fn who_leaves_is_out_at_once(place: &Place) {
    place.commit(
        Who::Service,
        &format!("INSERT INTO org_members (org_id, user_id, role) VALUES ('{ACME}', 'len', 'member')"),
    );
    place.commit(
        Who::Rest("len"),
        "INSERT INTO memories (memory, metadata) VALUES ('by Len', '{\"org_id\": \"acme-corp\"}')",
    );
    assert_eq!(place.see(Who::Rest("len"), READ), "Acme by id,Acme by slug,by Len");
    place.commit(Who::Service, "DELETE FROM org_members WHERE user_id = 'len'");
    // What one wrote stays one's own, to read and to delete, and no longer speaks for the organisation when it changes.
    assert_eq!(place.see(Who::Rest("len"), READ), "by Len");
    denied(place, Who::Rest("len"), "UPDATE memories SET memory = 'changed'");
    assert_eq!(
        place.see(Who::Rest("len"), "UPDATE memories SET memory = 'mine', metadata = '{}' RETURNING memory"),
        "mine"
    );
    place.commit(Who::Rest("len"), "DELETE FROM memories");
}

fn nobody_names_two_organisations_with_one_word(place: &Place) {
    for slug in [ACME.to_owned(), ACME.to_uppercase(), format!("{{{ACME}}}"), ACME.replace('-', ""), String::new()] {
        let make = format!("INSERT INTO organizations (name, slug) VALUES ('Mimic', '{slug}')");
        assert_eq!(place.ask(Who::Service, &make), Err("23514".to_owned()), "{slug}");
    }
    let same = place.ask(Who::Service, "INSERT INTO organizations (name, slug) VALUES ('Mimic', 'acme-corp')");
    assert_eq!(same, Err("23505".to_owned()));
}

fn memberships_are_the_services(place: &Place) {
    for who in ["alice", "bob"] {
        denied(
            place,
            Who::Rest(who),
            &format!("INSERT INTO org_members (org_id, user_id, role) VALUES ('{ACME}', '{who}', 'owner')"),
        );
        denied(place, Who::Rest(who), "UPDATE org_members SET role = 'owner'");
        denied(place, Who::Rest(who), "DELETE FROM org_members");
        denied(place, Who::Rest(who), "INSERT INTO organizations (name, slug) VALUES ('x', 'x')");
    }
    // One sees who one is together with, without going round in circles.
    let members = "SELECT string_agg(user_id, ',' ORDER BY user_id) FROM org_members";
    assert_eq!(place.see(Who::Rest("vic"), members), "alice,ann,vic");
    assert_eq!(place.see(Who::Rest("gus"), members), "gus");
    assert_eq!(place.see(Who::Rest("bob"), members), "");
    assert_eq!(place.see(Who::Rest("vic"), "SELECT string_agg(slug, ',') FROM organizations"), "acme-corp");
    denied(place, Who::Anon, members);
}

fn a_memory_is_shared_by_its_owner_with_an_organisation_of_theirs(place: &Place) {
    let id = place.root("SELECT id FROM memories WHERE memory = 'Ann alone'");
    let share = |org: &str, owner: &str| {
        format!("INSERT INTO memory_org_shares (user_id, memory_id, org_id) VALUES ('{owner}', '{id}', '{org}')")
    };
    // Not somebody else's, not with an organisation one is not in, not as a viewer, and not in somebody else's name.
    denied(place, Who::Rest("alice"), &share(ACME, "ann"));
    denied(place, Who::Rest("ann"), &share(GLOBEX, "ann"));
    denied(place, Who::Rest("ann"), &share("0d000000-0000-4000-8000-000000000004", "ann"));
    denied(
        place,
        Who::Rest("ann"),
        &format!("INSERT INTO memory_org_shares (memory_id, org_id, granted_by) VALUES ('{id}', '{ACME}', 'alice')"),
    );
    // A memory of somebody else looks like none.
    for foreign in [id.as_str(), "00000000-0000-7000-8000-000000000000"] {
        let shared = format!("INSERT INTO memory_org_shares (memory_id, org_id) VALUES ('{foreign}', '{ACME}')");
        assert_eq!(place.ask(Who::Rest("alice"), &shared), Err("23503".to_owned()));
    }

    place.commit(Who::Rest("ann"), &share(ACME, "ann"));
    for member in ["alice", "vic"] {
        assert_eq!(place.see(Who::Rest(member), READ), "Acme by id,Acme by slug,Ann alone");
    }
    assert_eq!(place.see(Who::Rest("gus"), READ), "");
    // To read, and nothing else; not through a row of one's own that has the same id.
    assert_eq!(
        place.see(Who::Rest("alice"), "UPDATE memories SET memory = 'x' WHERE memory = 'Ann alone' RETURNING 1"),
        ""
    );
    assert_eq!(place.see(Who::Rest("alice"), "DELETE FROM memories WHERE memory = 'Ann alone' RETURNING 1"), "");
    place.commit(
        Who::Server("mallory"),
        &format!(
            "INSERT INTO space_state (revision) VALUES (0);
             INSERT INTO memories (number, id, memory, hash) VALUES (1, '{id}', 'same id', 'x')"
        ),
    );
    assert_eq!(place.see(Who::Rest("vic"), READ), "Acme by id,Acme by slug,Ann alone");
    place.commit(Who::Server("mallory"), "DELETE FROM memories; DELETE FROM space_state");

    // Who granted it and who administers the organisation may take it back.
    assert_eq!(place.see(Who::Rest("vic"), "DELETE FROM memory_org_shares RETURNING 1"), "");
    assert_eq!(place.see(Who::Rest("alice"), "DELETE FROM memory_org_shares RETURNING 1"), "1");
    place.commit(Who::Rest("ann"), "DELETE FROM memory_org_shares");
    assert_eq!(place.see(Who::Rest("vic"), READ), "Acme by id,Acme by slug");
}

fn what_is_shared_in_metadata_is_not_shared(place: &Place) {
    place.commit(
        Who::Rest("bob"),
        &format!("INSERT INTO memories (memory, metadata) VALUES ('poison', '{{\"shared_with_orgs\": [\"{ACME}\"]}}')"),
    );
    assert_eq!(place.see(Who::Rest("alice"), READ), "Acme by id,Acme by slug");
    place.commit(Who::Rest("bob"), "DELETE FROM memories");
}

fn somebody_in_two_organisations_reads_both(place: &Place) {
    place.commit(
        Who::Service,
        &format!("INSERT INTO org_members (org_id, user_id, role) VALUES ('{ACME}', 'two', 'viewer'), ('{GLOBEX}', 'two', 'member')"),
    );
    place.commit(
        Who::Rest("gus"),
        "INSERT INTO memories (memory, metadata) VALUES ('Globex', '{\"org_id\": \"globex-inc\"}')",
    );
    assert_eq!(place.see(Who::Rest("two"), READ), "Acme by id,Acme by slug,Globex");
    denied(
        place,
        Who::Rest("two"),
        "INSERT INTO memories (memory, metadata) VALUES ('x', '{\"org_id\": \"acme-corp\"}')",
    );
    assert!(
        place
            .ask(
                Who::Rest("two"),
                "INSERT INTO memories (memory, metadata) VALUES ('x', '{\"org_id\": \"globex-inc\"}')"
            )
            .is_ok()
    );
    place.commit(Who::Rest("gus"), "DELETE FROM memories");
    place.commit(Who::Service, "DELETE FROM org_members WHERE user_id = 'two'");
}

fn the_server_sees_the_callers_own_and_nothing_else(place: &Place) {
    place.commit(Who::Service, "INSERT INTO memories (user_id, agent_id, memory) VALUES (NULL, 'chef', 'Salt')");
    for member in ["alice", "vic", "bob"] {
        assert_eq!(place.see(Who::Server(member), READ), "");
    }
    assert_eq!(place.see(Who::Server("ann"), READ), "Acme by id,Acme by slug,Ann alone");
    assert_eq!(place.see(Who::Rest("ann"), READ), "Acme by id,Acme by slug,Ann alone,Salt");
    place.commit(Who::Service, "DELETE FROM memories WHERE user_id IS NULL");
}

fn knowledge_of_agents_is_read_by_all_and_written_by_the_service(place: &Place) {
    let id = place.commit(
        Who::Service,
        "INSERT INTO memories (user_id, agent_id, memory) VALUES (NULL, 'chef', 'Salt the water'), (NULL, 'chef', 'Rest the dough')
         RETURNING number",
    );
    assert_eq!(id, "1\n2");
    let known = "SELECT string_agg(memory, ',' ORDER BY number) FROM memories WHERE user_id IS NULL";
    for reader in ["alice", "bob"] {
        assert_eq!(place.see(Who::Rest(reader), known), "Salt the water,Rest the dough");
        denied(
            place,
            Who::Rest(reader),
            "INSERT INTO memories (user_id, agent_id, memory) VALUES (NULL, 'chef', 'poison')",
        );
        // Calling oneself the agent changes nothing.
        denied(
            place,
            Who::Rest(reader),
            "SELECT set_config('app.agent_id', 'chef', true);
             INSERT INTO memories (user_id, agent_id, memory) VALUES (NULL, 'chef', 'poison')",
        );
        assert_eq!(
            place.see(Who::Rest(reader), "UPDATE memories SET memory = 'poison' WHERE user_id IS NULL RETURNING 1"),
            ""
        );
        assert_eq!(place.see(Who::Rest(reader), "DELETE FROM memories WHERE user_id IS NULL RETURNING 1"), "");
    }
    denied(place, Who::Anon, known);
    // Its versions are kept.
    place.commit(Who::Service, "UPDATE memories SET memory = 'Salt the sauce' WHERE user_id IS NULL AND number = 1");
    let versions = "SELECT old_value->>'memory', new_value->>'memory' FROM memory_history WHERE user_id IS NULL AND operation = 'update'";
    assert_eq!(place.see(Who::Service, versions), "Salt the water|Salt the sauce");
    assert_eq!(place.see(Who::Rest("alice"), versions), "");
    // Nobody's is not even an organisation's administrator's to delete.
    place.commit(Who::Service, "UPDATE memories SET metadata = '{\"org_id\": \"acme-corp\"}' WHERE user_id IS NULL");
    assert_eq!(place.see(Who::Rest("alice"), "DELETE FROM memories WHERE user_id IS NULL RETURNING 1"), "");
    denied(place, Who::Rest("alice"), "UPDATE memories SET user_id = 'alice' WHERE user_id IS NULL");
    place.commit(
        Who::Service,
        "DELETE FROM memories WHERE user_id IS NULL; DELETE FROM memory_history WHERE user_id IS NULL",
    );
}

fn ones_own_memory_of_an_agent_is_ones_own(place: &Place) {
    place.commit(Who::Rest("bob"), "INSERT INTO memories (memory, agent_id) VALUES ('Bob told the chef', 'chef')");
    for other in ["alice", "gus"] {
        assert!(!place.see(Who::Rest(other), READ).contains("Bob"));
    }
    place.commit(Who::Rest("bob"), "DELETE FROM memories");
}

fn the_pages_on_statistics_run_as_they_are(place: &Place) {
    let per_user = "SELECT user_id, COUNT(*) as memory_count, AVG(LENGTH(memory)) as avg_memory_length,
             MIN(created_at) IS NOT NULL as first_memory, MAX(created_at) IS NOT NULL as latest_memory
         FROM memories GROUP BY user_id ORDER BY memory_count DESC";
    assert_eq!(place.see(Who::Service, per_user), "ann|3|10.3333333333333333|t|t");
    assert_eq!(place.see(Who::Rest("ann"), per_user), "ann|3|10.3333333333333333|t|t");
    let per_organisation = "SELECT metadata->>'org_id' as org_id, COUNT(*) as memory_count,
             COUNT(DISTINCT user_id) as unique_contributors
         FROM memories WHERE metadata->>'org_id' IS NOT NULL GROUP BY metadata->>'org_id' ORDER BY memory_count DESC, org_id DESC";
    assert_eq!(place.see(Who::Service, per_organisation), format!("acme-corp|1|1\n{ACME}|1|1"));
}

fn an_organisation_is_found_by_index(place: &Place) {
    place.root(
        "INSERT INTO memories (user_id, memory, metadata)
         SELECT 'u' || n % 200, 'text ' || n, '{}' FROM generate_series(1, 4000) AS n",
    );
    place.root("ANALYZE");
    let plan = place.see(Who::Rest("alice"), "EXPLAIN (COSTS OFF) SELECT * FROM memories");
    assert!(
        plan.contains("BitmapOr")
            && plan.contains("idx_memories_org_created")
            && !plan.contains("Seq Scan on memories"),
        "{plan}"
    );
    let plan = place.see(Who::Server("u7"), "EXPLAIN (COSTS OFF) SELECT * FROM memories");
    assert!(plan.contains("Index") && !plan.contains("Seq Scan"), "{plan}");
    place.root("DELETE FROM memories WHERE user_id LIKE 'u%'");
}
