//! Who may do what: one pure function over one small table.
//!
//! `tests/it/policy.rs` prints the table and compares it with the page people read.

/// In what capacity a verified principal comes to a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The space is theirs.
    Owner,
    /// They may look at the space and change nothing.
    Reader,
    /// A service that names the owner it acts for.
    Service,
    /// Whoever runs the installation. Sees figures, never content.
    Operator,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 4] = [Role::Owner, Role::Reader, Role::Service, Role::Operator];
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Get, list and search memories, and read their history.
    ReadMemories,
    /// Add, change and delete memories.
    WriteMemories,
    /// See how much of the quota is used.
    ReadUsage,
    /// Take everything out, in one piece.
    Export,
    /// Destroy the space and its key.
    Erase,
    /// Carry the whole space to another place.
    Move,
    /// See and change what is so of an application: its project's settings and webhooks.
    Manage,
    /// Create, list and suspend users, and read figures over all of them.
    Operate,
}

impl Act {
    /// All of them.
    pub const ALL: [Act; 8] = [
        Act::ReadMemories,
        Act::WriteMemories,
        Act::ReadUsage,
        Act::Export,
        Act::Erase,
        Act::Move,
        Act::Manage,
        Act::Operate,
    ];

    /// The word for it in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Act::ReadMemories => "read_memories",
            Act::WriteMemories => "write_memories",
            Act::ReadUsage => "read_usage",
            Act::Export => "export",
            Act::Erase => "erase",
            Act::Move => "move",
            Act::Manage => "manage",
            Act::Operate => "operate",
        }
    }
}

/// Whether a principal in this role may do this.
pub const fn allows(role: Role, act: Act) -> bool {
    match (role, act) {
        (Role::Owner | Role::Service, Act::Move | Act::Operate) | (Role::Owner, Act::Manage) => false,
        (Role::Owner | Role::Service, _) => true,
        (Role::Reader, Act::ReadMemories | Act::ReadUsage) => true,
        (Role::Reader, Act::WriteMemories | Act::Export | Act::Erase | Act::Move | Act::Manage | Act::Operate) => false,
        (Role::Operator, Act::Operate) => true,
        (Role::Operator, _) => false,
    }
}
