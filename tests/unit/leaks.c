/* Who has leaked: each thing that one may wait for, chains, many at once, random graphs against a model; and what is printed. */
#include "tests/unit/leaking.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static weft_chan *volatile global;

/* ---- what a goroutine may wait for, for ever ---- */

static void send(void *ch)
{
	int one = 1;
	weft_send(ch, &one);
	stay();
}

static void make_receiver(void *unused)
{
	(void)unused;
	weft_go(receive, weft_chan_make(sizeof(int), 0));
}

static void make_buffered_receiver(void *unused)
{
	(void)unused;
	weft_go(receive, weft_chan_make(sizeof(void *), 4));
}

static void make_sender(void *unused)
{
	(void)unused;
	weft_go(send, weft_chan_make(sizeof(int), 0));
}

static void make_full_sender(void *unused)
{
	(void)unused;
	weft_chan *full = weft_chan_make(sizeof(int), 1);
	int one = 1;
	weft_send(full, &one);
	weft_go(send, full);
}

static void select_two(void *unused)
{
	int v;
	(void)unused;
	weft_case cases[] = {WEFT_CASE_RECV(weft_chan_make(sizeof v, 0), &v), WEFT_CASE_SEND(weft_chan_make(sizeof v, 0), &v)};
	weft_select(cases, 2);
	stay();
}

enum { MANY_CASES = 20 };

static void select_many(void *unused)
{
	weft_case cases[MANY_CASES];
	(void)unused;
	for (int i = 0; i < MANY_CASES; i++)
		cases[i] = WEFT_CASE_RECV(weft_chan_make(0, 0), NULL);
	weft_select(cases, MANY_CASES);
	stay();
}

static void select_none(void *unused)
{
	(void)unused;
	weft_select(NULL, 0);
	stay();
}

/* What is locked is in memory that the collector has. */
static void hold_mutex(void *m)
{
	weft_mutex_lock(m);
	receive(NULL);
	stay();
}

static void lock_mutex(void *m)
{
	weft_mutex_lock(m);
	stay();
}

static void make_locked(void *unused)
{
	(void)unused;
	weft_mutex *m = weft_new_bytes(sizeof *m);
	go_and_wait(WAIT_RECV_NIL, hold_mutex, m);
	weft_go(lock_mutex, m);
}

static void read_for_ever(void *rw)
{
	weft_rwmutex_rlock(rw);
	receive(NULL);
	stay();
}

static void lock_rwmutex(void *rw)
{
	weft_rwmutex_lock(rw);
	stay();
}

static void make_read_locked(void *unused)
{
	(void)unused;
	weft_rwmutex *rw = weft_new_bytes(sizeof *rw);
	go_and_wait(WAIT_RECV_NIL, read_for_ever, rw);
	weft_go(lock_rwmutex, rw);
}

static void wait_for_group(void *unused)
{
	(void)unused;
	weft_waitgroup *wg = weft_new_bytes(sizeof *wg);
	weft_waitgroup_add(wg, 1);
	weft_waitgroup_wait(wg);
	stay();
}

struct monitor {
	weft_mutex m;
	weft_cond c;
	weft_sem s;
	weft_once o;
};

static void wait_for_cond(void *unused)
{
	(void)unused;
	struct monitor *m = weft_new_bytes(sizeof *m);
	weft_mutex_lock(&m->m);
	weft_cond_wait(&m->c, &m->m);
	stay();
}

static void wait_for_permit(void *unused)
{
	(void)unused;
	struct monitor *m = weft_new_bytes(sizeof *m);
	weft_sem_acquire(&m->s, 1);
	stay();
}

static void do_once(void *o)
{
	weft_once_do(o, receive, NULL);
	stay();
}

static void make_once(void *unused)
{
	(void)unused;
	struct monitor *m = weft_new_bytes(sizeof *m);
	go_and_wait(WAIT_RECV_NIL, do_once, &m->o);
	weft_go(do_once, &m->o);
}

static int never_ends(weft_ctx *ctx, void *unused)
{
	(void)ctx, (void)unused;
	receive(NULL);
	return 0;
}

static void wait_for_task(void *unused)
{
	(void)unused;
	weft_group *g = weft_group_make(NULL);
	weft_group_go(g, never_ends, NULL);
	weft_group_wait(g);
	stay();
}

static void one_leaks(void (*make)(void *), void *arg, int n)
{
	int before = 0;
	slab_each(&sched.gs, count_sleeping, &before);
	apart(make, arg);
	await_sleeping(before + n);
	check_leaks(before + n);
}

static void go_receive_nil(void *unused)
{
	weft_go(receive, unused);
}

static void go_send_nil(void *unused)
{
	weft_go(send, unused);
}

struct start {
	void (*fn)(void *);
};

static void start_it(void *start)
{
	weft_go(((struct start *)start)->fn, NULL);
}

static void leaks_by(void (*fn)(void *))
{
	static struct start start;
	start.fn = fn;
	one_leaks(start_it, &start, 1);
}

TEST_GO(nothing_leaks_in_a_program_without_goroutines)
{
	CHECK_EQ(weft_leaks(-1), 0);
	return 0;
}

TEST_GO(who_waits_for_a_channel_that_nobody_has_has_leaked)
{
	one_leaks(make_receiver, NULL, 1);
	one_leaks(make_buffered_receiver, NULL, 1);
	one_leaks(make_sender, NULL, 1);
	one_leaks(make_full_sender, NULL, 1);
	leaks_by(select_two);
	return 0;
}

TEST_GO(who_waits_for_nothing_has_leaked)
{
	one_leaks(go_receive_nil, NULL, 1);
	one_leaks(go_send_nil, NULL, 1);
	leaks_by(select_none);
	return 0;
}

TEST_GO(who_waits_for_a_lock_that_nobody_gives_back_has_leaked)
{
	one_leaks(make_locked, NULL, 2);
	one_leaks(make_read_locked, NULL, 2);
	leaks_by(wait_for_cond);
	leaks_by(wait_for_permit);
	leaks_by(wait_for_group);
	one_leaks(make_once, NULL, 2);
	return 0;
}

TEST_GO(a_select_of_many_cases_and_a_group_leak)
{
	struct start starts[] = {{select_many}, {wait_for_task}};
	apart(start_it, &starts[0]);
	apart(start_it, &starts[1]);
	await_sleeping(3);
	check_leaks(3);
	return 0;
}

/* ---- those that only goroutines keep that have leaked ---- */

struct link {
	weft_chan *waits, *has;
};

static void run_link(void *link)
{
	const struct link *l = link;
	weft_recv(l->waits, NULL);
	stay();
}

static void go_link(weft_chan *waits, weft_chan *has)
{
	static const weft_go_opts opts = {.arg_size = sizeof(struct link)};
	CHECK_EQ(weft_go_with(&opts, run_link, &(struct link){waits, has}), 0);
}

static void make_chain(void *unused)
{
	(void)unused;
	weft_chan *a = make_plain(), *b = make_plain(), *c = make_plain();
	go_link(a, b);
	go_link(b, c);
	go_link(c, NULL);
}

static void make_cycle(void *unused)
{
	(void)unused;
	weft_chan *a = make_plain(), *b = make_plain();
	go_link(a, b);
	go_link(b, a);
}

static void make_held_chain(void *unused)
{
	(void)unused;
	weft_chan *a = make_plain(), *b = make_plain(), *c = make_plain();
	go_link(a, b);
	go_link(b, c);
	go_link(c, NULL);
	global = a;
}

TEST_GO(a_chain_and_a_cycle_leak_as_a_whole)
{
	one_leaks(make_chain, NULL, 3);
	one_leaks(make_cycle, NULL, 2);
	return 0;
}

TEST_GO(whoever_has_its_beginning_keeps_a_chain)
{
	apart(make_held_chain, NULL);
	await_sleeping(3);
	CHECK_EQ(weft_leaks(STDOUT_FILENO), 0);
	global = NULL;
	check_leaks(3);
	return 0;
}

/* ---- many ---- */

enum { MANY = 10000, MANY_WHEN_SLOW = 1000 };

static int many(void)
{
	return test_is_slow() ? MANY_WHEN_SLOW : MANY;
}

static weft_chan *kept[MANY / 2];

static void make_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < many() / 2; i++) {
		weft_go(receive, weft_chan_make(sizeof(int), (size_t)i % 3));
		weft_go(receive, kept[i] = weft_chan_make(sizeof(int), (size_t)i % 3));
	}
}

TEST_GO(half_of_thousands_leak)
{
	apart(make_many, NULL);
	await_sleeping(many());
	int found = weft_leaks(STDOUT_FILENO);
	CHECK(found <= many() / 2 && (!HAS_BLOCKS || found >= many() / 2 - many() / 50)); /* a word may look like a pointer */
	for (int i = 0; i < many() / 2; i++)
		weft_close(kept[i]);
	while (weft_num_goroutine() > many() / 2 + 1)
		weft_yield();
	int again = weft_leaks(STDOUT_FILENO);
	CHECK(again >= found && again <= many() / 2);
	return 0;
}

/* ---- what is printed ---- */

static char *printed(void (*print)(int fd))
{
	static char text[65536];
	FILE *f = tmpfile();
	CHECK(f != NULL);
	print(fileno(f));
	rewind(f);
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	return text;
}

static int expected;

static void print_leaks(int fd)
{
	CHECK_EQ(weft_leaks(fd), expected);
}

static void make_named(void *unused)
{
	static const weft_go_opts worker = {.name = "worker"}, kept_one = {.name = "kept"};
	(void)unused;
	CHECK_EQ(weft_go_with(&worker, receive, NULL), 0);
	CHECK_EQ(weft_go_with(&kept_one, receive, global = weft_chan_make(0, 0)), 0);
	CHECK_EQ(weft_go_with(NULL, receive, NULL), 0);
}

TEST_GO(a_dump_says_who_has_leaked)
{
	CHECK_STR(printed(print_leaks), "");
	apart(make_named, NULL);
	await_sleeping(3);
	if (HAS_BLOCKS) /* where it is not so, what a dump has given back keeps goroutines */
		CHECK(!strstr(printed(weft_dump), ", leaked"));
	expected = 2;
	const char *text = printed(print_leaks);
	CHECK(strncmp(text, "leaks: 2 goroutines\n\ngoroutine ", 31) == 0);
	CHECK(strstr(text, ", leaked] name=worker:\n"));
	CHECK(strstr(text, "[chan receive, "));
	CHECK(!strstr(text, "name=kept"));
	text = printed(weft_dump);
	CHECK(strstr(text, ", leaked] name=worker:\n"));
	CHECK(strstr(text, "] name=kept:\n") && !strstr(text, "leaked] name=kept:\n"));
	return 0;
}


static void make_hidden(void *unused)
{
	(void)unused;
	weft_go(receive, make_plain());
}

static void remember(void *object, void *arg)
{
	struct g *g = object;
	*(struct g **)arg = is_leaked(g) ? g : *(struct g **)arg;
}

/* Who is woken nonetheless, by a pointer that was written down in another way, has not leaked any more. */
static volatile uintptr_t masked;
static const uintptr_t mask = 0x5555555555555555;

static void make_masked(void *unused)
{
	(void)unused;
	weft_chan *c = make_plain();
	weft_go(receive, c);
	masked = (uintptr_t)c ^ mask;
}

static void wake_masked(void *unused)
{
	(void)unused;
	weft_close((weft_chan *)(masked ^ mask));
}

TEST_GO(who_is_woken_has_not_leaked)
{
	struct g *leaked = NULL;
	apart(make_hidden, NULL);
	apart(make_masked, NULL);
	await_sleeping(2);
	check_leaks(2);
	apart(wake_masked, NULL);
	while (weft_num_goroutine() > 2)
		weft_yield();
	slab_each(&sched.gs, remember, &leaked);
	CHECK(!HAS_BLOCKS || leaked != NULL);
	check_leaks(1);
	return 0;
}

static void *ask(void *attach)
{
	if (attach)
		CHECK_EQ(weft_attach(), 0);
	check_leaks(2);
	if (attach)
		weft_detach();
	return NULL;
}

static void ask_on_thread(void *attach)
{
	pthread_t thread;
	pthread_create(&thread, NULL, ask, attach);
	weft_block_begin();
	pthread_join(thread, NULL);
	weft_block_end();
}

TEST_GO(any_thread_may_ask)
{
	apart(go_receive_nil, NULL);
	apart(make_receiver, NULL);
	await_sleeping(2);
	ask_on_thread(NULL);
	ask_on_thread(&expected);
	return 0;
}

TEST(outside_a_program_there_is_nothing_to_find)
{
	CHECK_EQ(weft_leaks(-1), -EINVAL);
}

/* ---- against a model ---- */

enum { NODES = 200, HAS = 6, ROOTS = 4 };

struct node_arg {
	weft_chan *waits, *has[HAS];
	int index;
};

static struct graph {
	uint64_t seed;
	int waits[NODES], has[NODES][HAS], roots[ROOTS];
	bool live[NODES];
} graph;
static weft_chan *volatile root_channels[ROOTS];

static uint32_t below(uint32_t n)
{
	graph.seed = graph.seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(graph.seed >> 33) % n;
}

static void run_node(void *arg)
{
	const struct node_arg *a = arg;
	weft_recv(a->waits, NULL);
	stay();
}

/* Some have many, most have few. */
static void draw_graph(uint64_t seed)
{
	memset(&graph, 0, sizeof graph);
	graph.seed = seed;
	for (int i = 0; i < NODES; i++) {
		graph.waits[i] = (int)below(NODES);
		for (int k = 0; k < HAS; k++)
			graph.has[i][k] = below(5) == 0 ? (int)below(NODES) : -1;
	}
	for (int i = 0; i < ROOTS; i++)
		graph.roots[i] = (int)below(NODES);
}

static bool has_live(int channel)
{
	for (int i = 0; i < ROOTS; i++)
		if (graph.roots[i] == channel)
			return true;
	for (int i = 0; i < NODES; i++)
		for (int k = 0; graph.live[i] && k < HAS; k++)
			if (graph.has[i][k] == channel || graph.waits[i] == channel)
				return true;
	return false;
}

static int model_leaks(void)
{
	int n = 0;
	for (bool news = true; news;) {
		news = false;
		for (int i = 0; i < NODES; i++)
			if (!graph.live[i] && has_live(graph.waits[i]))
				news = graph.live[i] = true;
	}
	for (int i = 0; i < NODES; i++)
		n += !graph.live[i];
	return n;
}

static void make_graph(void *unused)
{
	weft_chan *all[NODES];
	(void)unused;
	for (int i = 0; i < NODES; i++)
		all[i] = weft_chan_make(sizeof(void *), (size_t)i % 2);
	for (int i = 0; i < NODES; i++) {
		static const weft_go_opts opts = {.arg_size = sizeof(struct node_arg)};
		struct node_arg a = {.waits = all[graph.waits[i]], .index = i};
		for (int k = 0; k < HAS; k++)
			a.has[k] = graph.has[i][k] < 0 ? NULL : all[graph.has[i][k]];
		CHECK_EQ(weft_go_with(&opts, run_node, &a), 0);
	}
	for (int i = 0; i < ROOTS; i++)
		root_channels[i] = all[graph.roots[i]];
	memset(all, 0, sizeof all);
	stay();
}

struct comparison {
	int leaked;
};

static void compare(void *object, void *arg)
{
	struct g *g = object;
	struct comparison *c = arg;
	if (!is_leaked(g))
		return;
	const struct g_options *o = load_acq(&g->options);
	const struct node_arg *a = o->arg_copy ? o->arg_copy : (const void *)o->inline_arg;
	if (graph.live[a->index])
		test_fail(__FILE__, __LINE__, "goroutine %d is invented", a->index);
	c->leaked++;
}

static uint64_t graph_seed;

static int app_graph(void)
{
	draw_graph(graph_seed);
	apart(make_graph, NULL);
	await_sleeping(NODES);
	int want = model_leaks();
	check_leaks(want);
	struct comparison c = {0};
	slab_each(&sched.gs, compare, &c);
	if (HAS_BLOCKS)
		CHECK_EQ(c.leaked, want);
	return 0;
}

static void run_graph(void)
{
	CHECK_EQ(run_weft(1 + (int)(graph_seed % 2), app_graph), 0);
}

TEST(random_graphs_leak_as_the_model_says)
{
	static struct test_child child;
	for (graph_seed = 1; graph_seed <= (uint64_t)test_rounds(40); graph_seed++) {
		test_in_child(&child, run_graph);
		if (child.status)
			test_fail(__FILE__, __LINE__, "seed %llu: status %d\n%s%s", (unsigned long long)graph_seed, child.status,
				  child.out, child.err);
	}
}

static void simulate_graph(void)
{
	char debug[32];
	snprintf(debug, sizeof debug, "seed=%llu", (unsigned long long)graph_seed);
	setenv("WEFT_DEBUG", debug, 1);
	run_graph();
}

TEST(they_do_so_in_a_simulation)
{
	static struct test_child child;
	for (graph_seed = 1; graph_seed <= (uint64_t)test_rounds(10); graph_seed++) {
		test_in_child(&child, simulate_graph);
		if (child.status)
			test_fail(__FILE__, __LINE__, "seed %llu: status %d\n%s%s", (unsigned long long)graph_seed, child.status,
				  child.out, child.err);
	}
}
