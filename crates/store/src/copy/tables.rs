//! What a space consists of, table by table: the same in every layout. A table or a column that is added to spaces is added
//! here too, and then goes along in moves and backups.

/// What kind of value a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Real,
    Text,
    Blob,
    Id,
    Moment,
    Json,
    Texts,
}

/// A column.
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// A table. Its first column tells its rows apart and orders them.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// Which rows are meant, where not all are.
    pub only: Option<&'static str>,
}

/// There is one of each: two are the same if they are the same one.
impl PartialEq for Table {
    fn eq(&self, other: &Table) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Table {
    /// The place of a column among those of its table.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

macro_rules! columns {
    ($($name:ident $kind:ident,)*) => {
        &[$(Column { name: stringify!($name), kind: Kind::$kind },)*]
    };
}

/// The memories.
pub static MEMORIES: Table = Table {
    name: "memories",
    columns: columns! {
        number Integer,
        id Id,
        memory Text,
        agent_id Text,
        run_id Text,
        app_id Text,
        categories Texts,
        metadata Json,
        hash Text,
        expiration Moment,
        created_at Moment,
        updated_at Moment,
        feedback Text,
        feedback_reason Text,
    },
    only: None,
};

/// Their history. Denials, which some layouts keep there too, are in the installation's trail.
pub static HISTORY: Table = Table {
    name: "memory_history",
    columns: columns! {
        number Integer,
        memory_id Id,
        operation Text,
        old_value Json,
        new_value Json,
        created_at Moment,
        timestamp Moment,
    },
    only: Some("operation IN ('create', 'update', 'delete')"),
};

/// The space's own trail.
pub static AUDIT: Table = Table {
    name: "space_audit",
    columns: columns! {
        sequence Integer,
        time Moment,
        actor_kind Text,
        actor Text,
        on_behalf_of Text,
        act Text,
        object Text,
        outcome Text,
        request_id Text,
        link Blob,
    },
    only: None,
};

/// All tables of a space but `space_state`, those before that others refer to.
pub static SPACE: &[&Table] = &[
    &MEMORIES,
    &Table {
        name: "memory_vectors",
        columns: columns! {
            number Integer,
            embedding Blob,
        },
        only: None,
    },
    &HISTORY,
    &Table {
        name: "memory_relationships",
        columns: columns! {
            id Id,
            source_memory_id Id,
            target_memory_id Id,
            relationship_type Text,
            strength Real,
            metadata Json,
            created_at Moment,
        },
        only: None,
    },
    &Table {
        name: "space_jobs",
        columns: columns! {
            id Id,
            kind Text,
            status Text,
            payload Text,
            results Text,
            error Text,
            attempts Integer,
            due_at Moment,
            size_bytes Integer,
            created_at Moment,
            updated_at Moment,
            started_at Moment,
            completed_at Moment,
        },
        only: None,
    },
    &Table {
        name: "space_settings",
        columns: columns! {
            name Text,
            value Text,
            updated_at Moment,
        },
        only: None,
    },
    &Table {
        name: "context_entries",
        columns: columns! {
            id Id,
            key_hash Text,
            key Text,
            value Text,
            audience Text,
            topics Text,
            writer Text,
            metadata Text,
            ttl_s Real,
            created_at Moment,
            expires_at Moment,
            revision Integer,
            size_bytes Integer,
        },
        only: None,
    },
    &Table {
        name: "context_agents",
        columns: columns! {
            id Id,
            name_hash Text,
            name Text,
            topics Text,
            posts Text,
            size_bytes Integer,
        },
        only: None,
    },
    // Last, since a space whose trail goes on keeps its own.
    &AUDIT,
];

/// The tables of the directory that are no space's: keys, who was erased, and the installation's trail.
pub static KEYS: Table = Table {
    name: "keys",
    columns: columns! {
        id Text,
        hash Blob,
        kind Text,
        issuer Text,
        subject Text,
        read_only Integer,
        act_as Text,
        name Text,
        created_at Moment,
        expires_at Moment,
    },
    only: None,
};

/// See [`KEYS`].
pub static TOMBSTONES: Table = Table {
    name: "tombstones",
    columns: columns! {
        who Blob,
        erased_at Moment,
    },
    only: None,
};

/// See [`KEYS`].
pub static TRAIL: Table = Table {
    name: "audit",
    columns: columns! {
        sequence Integer,
        time Moment,
        actor_kind Text,
        actor Blob,
        target Blob,
        space Id,
        act Text,
        outcome Text,
        request_id Text,
        link Blob,
    },
    only: None,
};

/// See [`KEYS`]. What is so of an issuer's application as a whole.
pub static PROJECTS: Table = Table {
    name: "projects",
    columns: columns! {
        issuer Text,
        settings Text,
        created_at Moment,
        updated_at Moment,
    },
    only: None,
};

/// See [`PROJECTS`].
pub static WEBHOOKS: Table = Table {
    name: "webhooks",
    columns: columns! {
        id Text,
        issuer Text,
        name Text,
        url Text,
        event_types Texts,
        secret Blob,
        is_active Integer,
        created_at Moment,
        updated_at Moment,
    },
    only: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{create, open};

    /// What is in the schema and not in the lists would be left behind by moves and missing in backups.
    #[test]
    fn every_table_and_column_of_a_space_goes_along() {
        let own = ["space_state", "words"];
        assert_eq!(
            described(create::SPACE, SPACE, &own, &[("memory_relationships", "number"), ("space_jobs", "number")]),
            Vec::<String>::new()
        );
        let directory = ["spaces", "moves", "moved", "installation", "leads", "work"];
        assert_eq!(
            described(create::DIRECTORY, &[&KEYS, &TOMBSTONES, &TRAIL, &PROJECTS, &WEBHOOKS], &directory, &[]),
            Vec::<String>::new()
        );
    }

    /// What the lists lack, or have and should not.
    fn described(steps: &[&str], tables: &[&Table], others: &[&str], internal: &[(&str, &str)]) -> Vec<String> {
        let connection = open::in_memory().unwrap();
        create::migrate(&connection, steps).unwrap();
        let texts = |sql: &str| -> Vec<String> {
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        let mut wrong = Vec::new();
        let names = texts("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'words_%'");
        for name in names.iter().filter(|name| !others.contains(&&***name)) {
            let Some(table) = tables.iter().find(|table| table.name == name) else {
                wrong.push(format!("the table {name} is missing"));
                continue;
            };
            let mut columns = texts(&format!("SELECT name FROM pragma_table_info('{name}')"));
            columns.retain(|column| !internal.contains(&(&**name, &**column)));
            columns.sort();
            let mut listed: Vec<_> = table.columns.iter().map(|column| column.name.to_owned()).collect();
            listed.sort();
            if columns != listed {
                wrong.push(format!("{name} has {columns:?} and is listed with {listed:?}"));
            }
        }
        wrong
    }
}
