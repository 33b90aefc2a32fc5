import CMallocCounter
import Glibc

/// The cost of one repetition of a workload.
struct Cost {
    /// Processor time of this thread in seconds.
    let seconds: Double
    /// Calls of the allocator.
    let allocations: Double
}

/// Measures the thread's processor time, which other work on the machine affects less than elapsed time. The result is
/// the median of several rounds.
enum Stopwatch {
    private static let rounds = 25
    private static let secondsPerRound = 0.03

    /// Measures several workloads in turn, so that a drift of the machine affects all.
    static func compare(_ works: [() -> Void]) -> [Cost] { compare(copies: [works]) }

    /// Measures workloads with several copies of each, a different one in each round. The address of a copy's memory
    /// changes its speed by up to 10 %.
    static func compare(copies: [[() -> Void]]) -> [Cost] {
        let repetitions = copies[0].map { Self.repetitions($0) }
        var seconds = repetitions.map { _ in [Double]() }
        var allocations = repetitions.map { _ in Double.infinity }
        for round in 0..<rounds {
            for (index, work) in copies[round % copies.count].enumerated() {
                let before = culvert_malloc_count()
                let began = now()
                for _ in 0..<repetitions[index] { work() }
                seconds[index].append((now() - began) / Double(repetitions[index]))
                let calls = Double(culvert_malloc_count() - before) / Double(repetitions[index])
                allocations[index] = min(allocations[index], calls)
            }
        }
        return repetitions.indices.map { index in
            Cost(seconds: seconds[index].sorted()[rounds / 2], allocations: allocations[index])
        }
    }

    /// The number of repetitions in one round.
    private static func repetitions(_ work: () -> Void) -> Int {
        var count = 1
        while true {
            let began = now()
            for _ in 0..<count { work() }
            let taken = now() - began
            if taken > secondsPerRound / 4 { return max(1, Int(Double(count) * secondsPerRound / taken)) }
            count *= 4
        }
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
