import CoreMetrics
import Synchronization

/// A backend of swift-metrics that Prometheus can read (text exposition, version 0.0.4).
///
/// | swift-metrics | Prometheus |
/// |---|---|
/// | Counter, FloatingPointCounter | counter |
/// | Gauge, Meter | gauge |
/// | Recorder | summary of sum and count |
/// | Timer | histogram of seconds |
///
/// The text is always valid and bounded. Names are repaired, and labels' values are escaped and cut. A name has at most
/// ``maximumSeries`` series, and all further ones share the last.
final class PrometheusRegistry: MetricsFactory {
    /// The limit of series of one name. A label with more values is a mistake, and would cost memory for ever.
    static let maximumSeries = 64
    /// The limit of names.
    static let maximumFamilies = 256

    private struct Family {
        let kind: MetricKind
        var series: [MetricLabels: any MetricSeries] = [:]
    }

    private let help: [String: String]
    private let families = Mutex<[String: Family]>([:])

    /// - Parameter help: the meaning of each metric, by its name.
    init(help: [String: String] = [:]) {
        self.help = help
    }

    /// The exposition text, sorted by name and labels.
    func exposition() -> String {
        let snapshot = families.withLock { $0 }.sorted { $0.key < $1.key }
        var text = ""
        for (name, family) in snapshot {
            if let help = help[name] { text += "# HELP \(name) \(MetricText.escapedHelp(help))\n" }
            text += "# TYPE \(name) \(family.kind.rawValue)\n"
            let series = family.series.map { (labels: $0.key, text: $0.key.text, series: $0.value) }
            for entry in series.sorted(by: { $0.text < $1.text }) {
                entry.series.write(name, entry.labels, to: &text)
            }
        }
        return text
    }

    /// The series of a name and its labels, made if it is new.
    ///
    /// A name has one kind. A request for another kind returns a series that is not in the text.
    private func series<Series: MetricSeries>(
        _ label: String,
        _ dimensions: [(String, String)],
        _ kind: MetricKind,
        _ make: () -> Series
    ) -> Series {
        let name = MetricText.name(label)
        var labels = MetricLabels(dimensions)
        return families.withLock { families in
            if families[name] == nil {
                guard families.count < Self.maximumFamilies else { return make() }
                families[name] = Family(kind: kind)
            }
            guard families[name]?.kind == kind else { return make() }
            if families[name]?.series[labels] == nil, families[name]?.series.count ?? 0 >= Self.maximumSeries - 1 {
                labels = labels.overflow
            }
            if let known = families[name]?.series[labels] as? Series { return known }
            let new = make()
            families[name]?.series[labels] = new
            return new
        }
    }

    private func remove(_ handler: AnyObject) {
        families.withLock { families in
            for (name, family) in families {
                guard let key = family.series.first(where: { $0.value === handler })?.key else { continue }
                families[name]?.series[key] = nil
                if families[name]?.series.isEmpty ?? false { families[name] = nil }
            }
        }
    }

    // MARK: MetricsFactory

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .counter) { CounterSeries() }
    }

    func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions, .counter) { FloatingPointCounterSeries() }
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge) { GaugeSeries() }
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else { return series(label, dimensions, .gauge) { GaugeSeries() } }
        return series(label, dimensions, .summary) { SummarySeries() }
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, .histogram) { HistogramSeries() }
    }

    func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}
