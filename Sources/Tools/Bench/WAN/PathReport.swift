import Foundation

/// The report of a run over paths, in Markdown.
struct PathReport {
    let run: PathRun
    let results: Results<PathRun.Place>
    /// Notes about what was left out.
    let notes: [String]

    /// The whole report.
    var text: String { ([head] + run.shapes.compactMap { table($0) }).joined(separator: "\n\n") + "\n" }

    private func table(_ shape: PathShape) -> String? {
        let throttle = run.settings.throttle.map { ", \(PathShape.text($0)) Mbit/s for each connection" } ?? ""
        let bulk = run.settings.uploads ? "upload" : "download"
        let requests = run.settings.hasRequests ? ", and a request every \(run.settings.requests.milliseconds) ms" : ""
        return ResultsTable(
            title: "\(shape.title)\(throttle): one \(bulk)\(requests)",
            results: results,
            rows: run.systems.map { .init(name: $0.name, place: .init(shape: shape, system: $0)) },
            reference: .init(shape: shape, system: .direct),
            figures: run.figures
        ).text
    }

    private var head: String {
        let settings = run.settings
        var lines = [
            "# Culvert over long, lossy and throttled paths", "",
            "\(Date.now.formatted(.iso8601)), Linux \(ReportHead.setting("kernel/osrelease")), "
                + "\(ProcessInfo.processInfo.activeProcessorCount) cores, \(settings.congestionControl) at both ends. "
                + "Medians of \(run.rounds) round\(run.rounds == 1 ? "" : "s") of \(PathShape.text(settings.seconds)) s, "
                + "the systems in turn.", "",
            "**Compare only figures of one run**: the machine and its other work affect all of them.", "",
            "Two network namespaces have a path between them: a process that moves packets of up to "
                + "\(PathShape.maximumPacket) bytes between two TUN devices, without offloads. The title has the round trip, the "
                + "rate and the loss. Each direction has half of the round trip, the whole rate, and the loss, which is random. "
                + "A queue before the rate drops at its tail, after 100 ms or one round trip, whichever is longer. "
                + "The first round loses packets by seed \(settings.seed), and each later round by the next.", "",
            "The visitor is on the server's side, and the service is on the client's. Ratio: Mbit/s relative to `direct`, "
                + "a bare TCP connection over the path. Only bytes that arrived in the time count. Spread is that of the first "
                + "figure over the rounds. Faults are streams that broke, stalled or had a wrong byte, and trials that failed.",
            "",
        ]
        if settings.hasRequests {
            lines += [
                "A request has \(settings.requests.bytes) bytes, and so has its echo. Requests have one connection of their own, "
                    + "and leave every \(settings.requests.milliseconds) ms, also while an echo is missing. Times are in milliseconds, and count from when a request was due.",
                "",
            ]
        }
        if let throttle = settings.throttle {
            lines += [
                "A proxy at the server's end gives each connection \(PathShape.text(throttle)) Mbit/s in each direction.",
                "",
            ]
        }
        lines += run.systems.map { "- `\($0.name)`: \($0.summary)" }
        return (lines + notes.flatMap { ["", $0] }).joined(separator: "\n")
    }
}

extension PathSystem {
    /// A description for the head of the report.
    var summary: String {
        switch kind {
        case .direct: "no tunnel"
        case .culvert:
            flags.isEmpty ? "client and server, `ws://`, `-R`" : "the client with `\(flags.joined(separator: " "))`"
        case .wstunnel: "`-R tcp://`, `ws://`"
        case .chisel: "a reverse tunnel, `http://`"
        case .frp: "a TCP proxy over WebSocket, without TLS"
        }
    }
}
