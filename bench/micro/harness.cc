#include "bench/micro/harness.h"

#include <benchmark/benchmark.h>

#include <string>

namespace {

/* Keeps the last run's figures instead of printing them. */
class Keeper : public benchmark::BenchmarkReporter {
public:
	harness_result result{0, 0};

	bool ReportContext(const Context &) override
	{
		return true;
	}
	void ReportRuns(const std::vector<Run> &runs) override
	{
		for (const Run &run : runs) {
			result.ops = run.iterations;
			result.ns_per_op = run.real_accumulated_time * 1e9 / static_cast<double>(run.iterations);
		}
	}
};

} // namespace

harness_result harness_run(const char *name, void (*fn)(void *, int64_t), void *arg, double seconds)
{
	benchmark::ClearRegisteredBenchmarks();
	benchmark::RegisterBenchmark(name,
				     [fn, arg](benchmark::State &state) {
					     while (state.KeepRunningBatch(state.max_iterations))
						     fn(arg, state.max_iterations);
				     })
		->UseRealTime()
		->MinTime(seconds);
	Keeper keeper;
	benchmark::RunSpecifiedBenchmarks(&keeper, name);
	return keeper.result;
}
