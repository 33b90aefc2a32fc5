import ArgumentParser

/// A workload, a value of `--scenarios`.
enum Workload: String, CaseIterable, ExpressibleByArgument, Sendable {
    case download
    case upload
    case downloads16 = "downloads-16"
    case uploads16 = "uploads-16"
    case pingPong = "ping-pong"
    case pingPong64 = "ping-pong-64"
    case churn
    case idle
    case besideDownloads = "beside-downloads"
    case besideUploads = "beside-uploads"
    case besidePaced = "beside-paced"
    case besideStalled = "beside-stalled"
    case visitors
    case proxied
    case datagrams

    /// The system of its ratios: two processes that do not change the bytes.
    var reference: System { self == .datagrams ? .socat : .haproxy }

    /// The title of its table.
    func title(_ size: Size) -> String {
        switch self {
        case .download: "One download"
        case .upload: "One upload"
        case .downloads16: "16 downloads"
        case .uploads16: "16 uploads"
        case .pingPong: "64 bytes there and back, one connection"
        case .pingPong64: "64 bytes there and back, 64 connections"
        case .churn: "Connect, 64 bytes there and back, close; 16 at a time"
        case .idle: "\(size.idle) idle connections; a burst is 256 KiB there and back on each"
        case .besideDownloads: "64 bytes there and back beside 4 downloads without a rate limit"
        case .besideUploads: "64 bytes there and back beside 4 uploads without a rate limit"
        case .besidePaced: "64 bytes there and back beside 4 downloads of 15 MB/s each"
        case .besideStalled: "64 bytes there and back beside a download, before and beside a stalled one"
        case .visitors: "\(size.visitors) visitors at once: connect, one echo each, close"
        case .proxied: "A download of 50 MB/s through Squid and nginx with TLS"
        case .datagrams: "Datagrams of \(DatagramLoad.bytes) bytes there and back, 32 in flight"
        }
    }

    /// The columns of its table. Ratio and spread refer to the first.
    var figures: [Figure] {
        switch self {
        case .download, .upload, .downloads16, .uploads16:
            [.megabytesPerSecond, .processorSecondsPerGigabyte, .peakMebibytes]
        case .pingPong: [.median, .percentile99, .processorMicroseconds]
        case .pingPong64: [.operationsPerSecond, .median, .percentile99, .processorMicroseconds]
        case .churn: [.operationsPerSecond, .processorMicroseconds, .peakMebibytes]
        case .idle: [.idleKibibytes, .usedKibibytes]
        case .besideDownloads, .besideUploads, .besidePaced:
            [.median, .percentile99, .bulkMegabytesPerSecond, .processorSecondsPerGigabyte, .peakMebibytes]
        case .besideStalled:
            [
                .median, .medianBefore, .percentile99, .bulkMegabytesPerSecond, .bulkMegabytesPerSecondBefore,
                .processorSecondsPerGigabyte, .peakMebibytes,
            ]
        case .visitors: [.openSeconds, .echoSeconds, .closeSeconds, .peakMebibytes]
        case .proxied: [.processorSecondsPerGigabyte, .hopSecondsPerGigabyte, .timesHops, .megabytesPerSecond]
        case .datagrams: [.operationsPerSecond, .processorSecondsPerDatagrams, .median, .percentile99, .peakMebibytes]
        }
    }

    /// Whether the workload is measured on a system.
    func applies(to system: System) -> Bool {
        switch self {
        case .proxied: system == .culvertProxy
        case .datagrams: system == .direct || system == .socat || system == .culvertLocal
        case _ where system == .socat: false
        // A local port takes 1,000 connections a second.
        case .churn, .visitors: system != .culvertProxy && system != .culvertLocal
        // Without a tunnel there is no memory to measure.
        case .idle: system != .culvertProxy && system != .direct
        default: system != .culvertProxy
        }
    }
}

/// The size of the workloads.
struct Size: Sendable {
    /// The duration of a timed workload, in seconds.
    var seconds: Double
    /// The connections of ``Workload/idle``.
    var idle: Int
    /// The visitors of ``Workload/visitors``.
    var visitors: Int
}
