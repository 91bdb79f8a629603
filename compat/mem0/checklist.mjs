// mem0's npm client of today, unmodified: checklist.mjs HOST KEY USER ITEM, with MODULES where it is installed.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [host, apiKey, user, item] = process.argv.slice(2);
const { MemoryClient } = createRequire(`${process.env.MODULES}/`)("mem0ai");
const isService = process.env.KIND === "service";
const kind = (name) => (error) => error.constructor.name === name || error.name === name || assert.fail(`${error.name}: ${error.message}`);
const nowhere = "00000000-0000-0000-0000-000000000000";
const filters = { user_id: user };

const client = new MemoryClient({ apiKey, host });
const keep = async (text, options = {}) => (await client.add([{ role: "user", content: text }], { userId: user, infer: false, ...options })).results[0].id;
const count = async () => (await client.getAll({ filters })).count;

const items = {
  // A ping, and a wrong key.
  async item_02() {
    await client.ping();
    await assert.rejects(new MemoryClient({ apiKey: "wrong", host }).ping(), kind("AuthenticationError"));
  },
  async item_03() {
    const added = await client.add([{ role: "user", content: "I like green tea" }], { userId: user, infer: false });
    assert.equal(added.status, "SUCCEEDED");
    assert.ok(added.eventId);
    const inferred = await client.add("I work as a plumber", { userId: user });
    assert.ok(inferred.eventId && inferred.status);
    assert.equal(await count(), 2);
  },
  async item_04() {
    await keep("one");
    await keep("two", { runId: "r-1", metadata: { camelCase: 1 } });
    const all = await client.getAll({ filters });
    assert.deepEqual([all.count, all.next, all.previous, all.results.length], [2, null, null, 2]);
    assert.equal(all.results[0].metadata.camelCase, 1);
    const first = await client.getAll({ filters: { userId: user }, page: 1, pageSize: 1 });
    assert.deepEqual([first.count, first.results.length], [2, 1]);
  },
  async item_06() {
    await assert.rejects(client.get("not-a-uuid"), kind("ValidationError"));
    await assert.rejects(client.get(nowhere), kind("MemoryNotFoundError"));
  },
  async item_07() {
    const id = await keep("I like green tea");
    await client.update(id, { text: "I like black tea" });
    await client.update(id, { metadata: { kind: "drink" } });
    const now = await client.get(id);
    assert.deepEqual([now.memory, now.metadata.kind, now.userId], ["I like black tea", "drink", user]);
  },
  async item_08() {
    const id = await keep("I like green tea");
    await client.update(id, { text: "I like black tea" });
    assert.deepEqual((await client.history(id)).map((line) => line.event), ["ADD", "UPDATE"]);
  },
  async item_09() {
    const id = await keep("I like green tea");
    await keep("I run at night", { runId: "r-1" });
    const found = await client.search("what do I drink?", { filters });
    assert.equal(found.results[0].id, id);
    assert.ok(found.results[0].score > 0);
    const within = await client.search("anything", { filters: { AND: [filters, { run_id: "r-1" }] } });
    assert.deepEqual(within.results.map((memory) => memory.memory), ["I run at night"]);
    assert.equal((await client.search("anything", { filters, topK: 1 })).results.length, 1);
    await assert.rejects(client.search("", { filters }));
  },
  async item_10() {
    await keep("I like green tea");
    const users = (await client.users({ page: 1, pageSize: 1000 })).results;
    assert.ok(users.some((entity) => entity.type === "user" && entity.name === user));
    if (isService) {
      for (const odd of ["u/1 x", "50%", "Zoë?#&"]) {
        await client.add("odd", { userId: odd, infer: false });
        await client.deleteUsers({ userId: odd });
        assert.equal((await client.getAll({ filters: { user_id: odd } })).count, 0);
      }
    }
    await client.deleteUsers({ userId: user });
  },
  async item_11() {
    const id = await keep("I like green tea");
    await client.batchUpdate([{ memoryId: id, text: "I like white tea" }]);
    assert.equal((await client.get(id)).memory, "I like white tea");
    await client.batchDelete([id]);
    await assert.rejects(client.get(id), kind("MemoryNotFoundError"));
  },
  async item_12() {
    await client.ping();
    await client.updateProject({ customInstructions: "Remember what I eat." });
    assert.equal((await client.getProject({ fields: ["custom_instructions"] })).customInstructions, "Remember what I eat.");
    const hook = { name: "hook", url: "https://example.com/hook", eventTypes: ["memory_add"] };
    if (!isService) {
      await assert.rejects(client.createWebhook(hook), kind("AuthenticationError"));
      return;
    }
    const { webhookId } = await client.createWebhook(hook);
    const named = async () => (await client.getWebhooks()).find((webhook) => webhook.webhookId === webhookId)?.name;
    assert.equal(await named(), "hook");
    await client.updateWebhook({ webhookId, name: "renamed" });
    assert.equal(await named(), "renamed");
    await client.deleteWebhook({ webhookId });
    assert.equal(await named(), undefined);
  },
  async item_13() {
    const memoryId = await keep("I like green tea");
    assert.equal((await client.feedback({ memoryId, feedback: "POSITIVE" })).feedback, "POSITIVE");
    const { id } = await client.createMemoryExport({ schema: { type: "object", properties: {} }, filters });
    assert.match(JSON.stringify(await client.getMemoryExport({ memoryExportId: id })), /green tea/);
    assert.equal((await client.getProfileSettings()).enabled, false);
  },
  // A host that ends with a slash.
  async item_15() {
    const client = new MemoryClient({ apiKey, host: `${host}/` });
    await client.ping();
    assert.equal((await client.getAll({ filters })).count, 0);
  },
  // What this client makes of filters here is no selector.
  async item_16() {
    await keep("I like green tea");
    await assert.rejects(client.deleteAll({ filters }), kind("ValidationError"));
    await assert.rejects(client.deleteAll(), kind("ValidationError"));
    assert.equal(await count(), 1);
  },
  async item_17() {
    await keep("I like green tea");
    const others = { filters: { user_id: process.env.OTHER } };
    if (isService) {
      await assert.rejects(client.getAll({ filters: { user_id: "*" } }), kind("ValidationError"));
    } else {
      await assert.rejects(client.getAll(others), kind("AuthenticationError"));
    }
    const pinned = { filters: { user_id: user, AND: [others.filters] } };
    if (isService) assert.deepEqual((await client.search("tea", pinned)).results, []);
  },
};

await client.deleteAll({ userId: user });
await items[item]();
console.log("ok");
process.exit(0);
