// mem0's npm client of today, unmodified: current.mjs HOST KEY USER, run where it is installed.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [host, apiKey, user] = process.argv.slice(2);
const { MemoryClient } = createRequire(`${process.env.MODULES}/`)("mem0ai");
const isService = process.env.KIND === "service";
const kind = (name) => (error) => error.constructor.name === name || error.name === name || assert.fail(`${error.name}: ${error.message}`);

await assert.rejects(new MemoryClient({ apiKey: "wrong", host }).ping(), kind("AuthenticationError"));
const client = new MemoryClient({ apiKey, host: `${host}/` });
await client.ping();

const added = await client.add([{ role: "user", content: "I like green tea" }], { userId: user, infer: false });
assert.equal(added.status, "SUCCEEDED");
const id = added.results[0].id;
await client.add("I run at night", { userId: user, runId: "r-1", infer: false, metadata: { camelCase: 1 } });

const all = await client.getAll({ filters: { user_id: user } });
assert.equal(all.count, 2);
assert.equal(all.results[0].metadata.camelCase, 1);
assert.equal((await client.getAll({ filters: { userId: user }, page: 1, pageSize: 1 })).results.length, 1);
const found = await client.search("what do I drink?", { filters: { user_id: user } });
assert.equal(found.results[0].id, id);
assert.ok(found.results[0].score > 0);
assert.equal((await client.get(id)).userId, user);
await client.update(id, { text: "I like black tea" });
assert.equal((await client.get(id)).memory, "I like black tea");
assert.deepEqual((await client.history(id)).map((line) => line.event), ["ADD", "UPDATE"]);
await assert.rejects(client.get("not-a-uuid"), kind("ValidationError"));
await assert.rejects(client.get("00000000-0000-0000-0000-000000000000"), kind("MemoryNotFoundError"));
await assert.rejects(client.search("", { filters: { user_id: user } }));
// What this client makes of filters here is no selector, and must delete nothing.
await assert.rejects(client.deleteAll({ filters: { user_id: user } }), kind("ValidationError"));
await assert.rejects(client.deleteAll(), kind("ValidationError"));
assert.equal((await client.getAll({ filters: { user_id: user } })).count, 2);

const users = (await client.users({ page: 1, pageSize: 1000 })).results;
assert.ok(users.some((entity) => entity.type === "user" && entity.name === user));
await client.batchUpdate([{ memoryId: id, text: "I like white tea" }]);
assert.equal((await client.get(id)).memory, "I like white tea");
await client.batchDelete([id]);
await assert.rejects(client.get(id), kind("MemoryNotFoundError"));
if (!isService) {
  await assert.rejects(client.getAll({ filters: { user_id: process.env.OTHER } }), kind("AuthenticationError"));
}
await client.deleteAll({ userId: user });
assert.equal((await client.getAll({ filters: { user_id: user } })).count, 0);
await client.deleteUsers({ userId: user });
console.log("ok");
process.exit(0);
