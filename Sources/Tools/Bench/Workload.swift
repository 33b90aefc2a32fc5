import ArgumentParser

/// A scenario of the command line.
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
        case .besideDownloads: "64 bytes there and back beside 4 downloads, flat out"
        case .besideUploads: "64 bytes there and back beside 4 uploads, flat out"
        case .besidePaced: "64 bytes there and back beside 4 downloads of 15 MB/s each"
        case .besideStalled: "64 bytes there and back beside a download, and one whose reader never reads"
        case .visitors: "\(size.visitors) visitors at once: all come, one echo on all, all go"
        case .proxied: "A download of 50 MB/s through Squid and nginx with TLS"
        }
    }

    /// The columns of its table; ratio and spread are those of the first.
    var figures: [Figure] {
        switch self {
        case .download, .upload, .downloads16, .uploads16:
            [.megabytesPerSecond, .processorSecondsPerGigabyte, .peakMebibytes]
        case .pingPong: [.median, .slow, .processorMicroseconds]
        case .pingPong64: [.operationsPerSecond, .median, .slow, .processorMicroseconds]
        case .churn: [.operationsPerSecond, .processorMicroseconds, .peakMebibytes]
        case .idle: [.idleKibibytes, .usedKibibytes]
        case .besideDownloads, .besideUploads, .besidePaced:
            [.median, .slow, .bulkMegabytesPerSecond, .processorSecondsPerGigabyte, .peakMebibytes]
        case .besideStalled:
            [
                .median, .medianBefore, .slow, .bulkMegabytesPerSecond, .bulkMegabytesPerSecondBefore,
                .processorSecondsPerGigabyte, .peakMebibytes,
            ]
        case .visitors: [.openSeconds, .echoSeconds, .closeSeconds, .peakMebibytes]
        case .proxied: [.processorSecondsPerGigabyte, .hopSecondsPerGigabyte, .timesHops, .megabytesPerSecond]
        }
    }

    /// Whether a system has this workload.
    func suits(_ system: System) -> Bool {
        switch self {
        case .proxied: system == .culvertProxy
        // Without a tunnel there is no memory to measure.
        case .idle: system != .culvertProxy && system != .direct
        default: system != .culvertProxy
        }
    }
}

/// The size of the workloads.
struct Size: Sendable {
    /// The seconds of a workload that lasts for a time.
    var seconds: Double
    /// The connections of ``Workload/idle``.
    var idle: Int
    /// The visitors of ``Workload/visitors``.
    var visitors: Int
}
