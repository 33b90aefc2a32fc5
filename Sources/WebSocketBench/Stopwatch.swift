import CMallocCounter
import Glibc

/// What one piece of work costs.
struct Cost {
    /// Seconds of this thread's processor time for one repetition.
    let seconds: Double
    /// Calls of the allocator for one repetition.
    let allocations: Double
}

/// Measures by the thread's processor time, so that other work on the machine weighs less; the median of several rounds.
enum Stopwatch {
    private static let rounds = 7
    private static let secondsPerRound = 0.06

    /// Measures several pieces of work in turn, A B A B, so that a drift of the machine meets them all.
    static func compare(_ works: [() -> Void]) -> [Cost] {
        let repetitions = works.map { Self.repetitions($0) }
        var seconds = works.map { _ in [Double]() }
        var allocations = works.map { _ in Double.infinity }
        for _ in 0..<rounds {
            for (index, work) in works.enumerated() {
                let before = culvert_malloc_count()
                let began = now()
                for _ in 0..<repetitions[index] { work() }
                seconds[index].append((now() - began) / Double(repetitions[index]))
                let calls = Double(culvert_malloc_count() - before) / Double(repetitions[index])
                allocations[index] = min(allocations[index], calls)
            }
        }
        return works.indices.map { index in
            Cost(seconds: seconds[index].sorted()[rounds / 2], allocations: allocations[index])
        }
    }

    static func measure(_ work: @escaping () -> Void) -> Cost { compare([work])[0] }

    /// How often the work fits into one round.
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
