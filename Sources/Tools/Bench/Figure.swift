/// A measured quantity, and its form in a table.
enum Figure: Sendable {
    case megabytesPerSecond
    case bulkMegabytesPerSecond
    case bulkMegabytesPerSecondBefore
    case median
    case medianBefore
    case percentile99
    case operationsPerSecond
    case processorSecondsPerGigabyte
    case processorMicroseconds
    case processorSecondsPerDatagrams
    case peakMebibytes
    case idleKibibytes
    case usedKibibytes
    case openSeconds
    case echoSeconds
    case closeSeconds
    case hopSecondsPerGigabyte
    case timesHops
    case megabitsPerSecond
    case aloneMedian
    case alonePercentile95
    case alonePercentile99
    case besideMedian
    case besidePercentile95
    case besidePercentile99

    /// The title of its column.
    var title: String {
        switch self {
        case .megabytesPerSecond: "MB/s"
        case .bulkMegabytesPerSecond: "bulk MB/s"
        case .bulkMegabytesPerSecondBefore: "bulk MB/s before"
        case .median: "p50 µs"
        case .medianBefore: "p50 µs before"
        case .percentile99: "p99 µs"
        case .operationsPerSecond: "per second"
        case .processorSecondsPerGigabyte: "CPU s/GB"
        case .processorMicroseconds: "CPU µs each"
        case .processorSecondsPerDatagrams: "CPU s/100,000"
        case .peakMebibytes: "peak MiB above idle"
        case .idleKibibytes: "KiB each"
        case .usedKibibytes: "KiB each after a burst"
        case .openSeconds: "open s"
        case .echoSeconds: "echo s"
        case .closeSeconds: "close s"
        case .hopSecondsPerGigabyte: "Squid's and nginx's CPU s/GB"
        case .timesHops: "ratio to both"
        case .megabitsPerSecond: "Mbit/s"
        case .aloneMedian: "request alone, p50 ms"
        case .alonePercentile95, .besidePercentile95: "p95"
        case .alonePercentile99, .besidePercentile99: "p99"
        case .besideMedian: "beside, p50 ms"
        }
    }

    /// The number of decimals in a table.
    var decimals: Int {
        switch self {
        case .megabytesPerSecond, .bulkMegabytesPerSecond, .bulkMegabytesPerSecondBefore, .operationsPerSecond,
            .aloneMedian, .alonePercentile95, .alonePercentile99, .besideMedian, .besidePercentile95,
            .besidePercentile99:
            0
        case .median, .medianBefore, .percentile99, .processorMicroseconds, .peakMebibytes, .idleKibibytes,
            .usedKibibytes, .megabitsPerSecond:
            1
        case .processorSecondsPerGigabyte, .processorSecondsPerDatagrams, .hopSecondsPerGigabyte, .timesHops,
            .openSeconds, .echoSeconds,
            .closeSeconds:
            2
        }
    }
}

/// The findings of one trial.
struct Measurement: Sendable {
    /// The figures that exist for the workload and the system.
    var values: [Figure: Double] = [:]
    /// The number of streams that broke, stalled, or had a wrong byte.
    var faults = 0
}
