import CoreMetrics
import Synchronization

/// The kinds of metrics in Prometheus.
enum MetricKind: String, Sendable {
    case counter
    case gauge
    case histogram
    case summary
}

/// The numbers of one name and one set of labels.
protocol MetricSeries: AnyObject, Sendable {
    /// Appends the lines of the series.
    func write(_ name: String, _ labels: MetricLabels, to text: inout String)
}

/// A counter of whole numbers.
final class CounterSeries: MetricSeries, CounterHandler {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) {
        value.wrappingAdd(amount, ordering: .relaxed)
    }

    func reset() {
        value.store(0, ordering: .relaxed)
    }

    func write(_ name: String, _ labels: MetricLabels, to text: inout String) {
        text += "\(name)\(labels.text) \(value.load(ordering: .relaxed))\n"
    }
}

/// A counter with a fraction.
final class FloatingPointCounterSeries: MetricSeries, FloatingPointCounterHandler {
    private let value = Mutex(0.0)

    func increment(by amount: Double) {
        value.withLock { $0 += amount }
    }

    func reset() {
        value.withLock { $0 = 0 }
    }

    func write(_ name: String, _ labels: MetricLabels, to text: inout String) {
        text += "\(name)\(labels.text) \(MetricText.number(value.withLock { $0 }))\n"
    }
}

/// A gauge.
final class GaugeSeries: MetricSeries, MeterHandler, RecorderHandler {
    private let value = Mutex(0.0)

    func set(_ new: Int64) { set(Double(new)) }

    func set(_ new: Double) {
        value.withLock { $0 = new }
    }

    func increment(by amount: Double) {
        value.withLock { $0 += amount }
    }

    func decrement(by amount: Double) { increment(by: -amount) }

    func record(_ new: Int64) { set(new) }

    func record(_ new: Double) { set(new) }

    func write(_ name: String, _ labels: MetricLabels, to text: inout String) {
        text += "\(name)\(labels.text) \(MetricText.number(value.withLock { $0 }))\n"
    }
}

/// A summary: the number of values and their sum.
final class SummarySeries: MetricSeries, RecorderHandler {
    private let state = Mutex((sum: 0.0, count: 0))

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        state.withLock { state in
            state.sum += value
            state.count += 1
        }
    }

    func write(_ name: String, _ labels: MetricLabels, to text: inout String) {
        let state = state.withLock { $0 }
        text += "\(name)_sum\(labels.text) \(MetricText.number(state.sum))\n"
        text += "\(name)_count\(labels.text) \(state.count)\n"
    }
}

/// A histogram of times.
final class HistogramSeries: MetricSeries, TimerHandler {
    /// Upper bounds in seconds: from one iteration of an event loop to the patience of a person.
    static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    private struct State {
        /// The number of times in each bucket, and above all bounds at the end.
        var counts = Array(repeating: 0, count: HistogramSeries.bounds.count + 1)
        var nanoseconds: Int64 = 0
    }

    private let state = Mutex(State())

    func recordNanoseconds(_ duration: Int64) {
        let seconds = Double(duration) / 1e9
        let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.nanoseconds &+= duration
        }
    }

    func write(_ name: String, _ labels: MetricLabels, to text: inout String) {
        let state = state.withLock { $0 }
        var count = 0
        for (index, inBucket) in state.counts.enumerated() {
            count += inBucket
            let bound = index < Self.bounds.count ? MetricText.number(Self.bounds[index]) : "+Inf"
            text += "\(name)_bucket\(labels.text(adding: "le", bound)) \(count)\n"
        }
        text += "\(name)_sum\(labels.text) \(MetricText.number(Double(state.nanoseconds) / 1e9))\n"
        text += "\(name)_count\(labels.text) \(count)\n"
    }
}
