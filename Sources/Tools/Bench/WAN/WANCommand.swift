import ArgumentParser
import Foundation
import TestSupport

/// `culvert-bench wan`: measures over long, lossy and throttled paths, in network namespaces.
struct WANCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "culvert-bench wan",
        abstract: "Measures Culvert beside other tunnels, over long, lossy and throttled paths. Needs root.",
        discussion: """
            One download goes through each system, and beside it small requests. CULVERT_BIN names another \
            executable of Culvert.
            """
    )
    /// The word that selects this command.
    static let word = "wan"

    @Option(
        help: ArgumentHelp(
            "Paths, by commas: milliseconds of one direction, Mbit/s, percent of packets lost in each direction.",
            valueName: "delay/rate/loss"
        )
    )
    var paths = CommaList(PathShape.usual)
    @Option(
        help: "Systems, by commas: \(PathSystem.Kind.allCases.map(\.rawValue).joined(separator: ", ")). (default: all)"
    )
    var systems: CommaList<PathSystem.Kind>?
    @Option(
        help: ArgumentHelp(
            "Culvert under this name, with these flags of the client, or with another executable. May be repeated.",
            valueName: "name[@executable]=flags"
        )
    )
    var variant: [PathVariant] = []
    @Option(parsing: .unconditional, help: "Further flags of Culvert's server, with spaces between them.")
    var serverFlags = ""
    @Option(help: "A folder with wstunnel, chisel, frps and frpc, searched before PATH.")
    var programs: String?
    @Option(
        name: .customLong("cc"),
        help: "The congestion control of all connections: cubic, bbr or another one of the system."
    )
    var congestionControl = "cubic"
    @Option(help: "A proxy at the server's end gives each connection this rate in Mbit/s.")
    var throttle: Double?
    @Option(help: "The number of rounds; the tables show medians.")
    var rounds = 3
    @Option(help: "Seconds of each bulk transfer.")
    var seconds = 12.0
    @Flag(help: "Uploads from the visitor to the service, in place of downloads.")
    var upload = false
    @Flag(help: "No requests alone or beside the bulk transfer.")
    var bulkOnly = false
    @Option(
        help: ArgumentHelp(
            "The size of requests and of their echoes, and the time between two of them.",
            valueName: "bytes/milliseconds"
        )
    )
    var requests = PacedRequests()
    @Option(help: "The seed of the lost packets.")
    var seed: UInt64 = 1
    @Option(help: "A file for the Markdown, in addition to standard output.")
    var output: String?
    @Option(help: "A file for all trials as JSON.")
    var json: String?

    func validate() throws {
        guard (1...100).contains(rounds) else { throw ValidationError("--rounds must be 1 to 100.") }
        let shortest = bulkOnly ? 1.0 : PathTrial.lead + PathTrial.tail + 1
        guard (shortest...600).contains(seconds) else {
            throw ValidationError("--seconds must be \(PathShape.text(shortest)) to 600.")
        }
        guard throttle.map({ (0.01...10_000).contains($0) }) ?? true else {
            throw ValidationError("--throttle must be 0.01 to 10000.")
        }
        let names = variant.map(\.name) + PathSystem.Kind.allCases.map(\.rawValue).filter { $0 != "culvert" }
        guard Set(names).count == names.count else {
            throw ValidationError("--variant needs a name that no other variant or system has.")
        }
        guard !congestionControl.isEmpty, congestionControl.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) })
        else { throw ValidationError("--cc must be a name such as cubic.") }
    }

    func run() async throws {
        if let reason = PathNetwork.notReadyReason {
            print("wan is skipped: \(reason)")
            return
        }
        let available = ReportHead.setting("net/ipv4/tcp_available_congestion_control").split(separator: " ")
        guard available.contains(Substring(congestionControl)) else {
            throw ValidationError(
                "the kernel has no congestion control \(congestionControl): modprobe tcp_\(congestionControl)"
            )
        }
        var notes: [String] = []
        let run = PathRun(
            systems: try readySystems(&notes),
            shapes: paths.items,
            rounds: rounds,
            settings: settings
        )
        let results: PathResults
        do {
            results = try await Interruption.cancelling { try await run.results() }
        } catch is CancellationError {
            throw ExitCode(130)
        }
        let report = PathReport(run: run, results: results.table, notes: notes).text
        print(report, terminator: "")
        if let output { try report.write(toFile: output, atomically: true, encoding: .utf8) }
        if let json { try PathJSON(run, results).text.write(toFile: json, atomically: true, encoding: .utf8) }
        if results.table.faults > 0 { throw ExitCode(1) }
    }

    private var settings: PathSettings {
        PathSettings(
            seconds: seconds,
            uploads: upload,
            hasRequests: !bulkOnly,
            requests: requests,
            congestionControl: congestionControl,
            throttle: throttle,
            serverFlags: serverFlags.split(separator: " ").map(String.init),
            seed: seed
        )
    }

    /// The systems whose programs are there, in the order of the tables.
    private func readySystems(_ notes: inout [String]) throws -> [PathSystem] {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = (programs.map { [$0] } ?? []) + path.split(separator: ":").map(String.init)
        var ready: [PathSystem] = []
        for kind in systems?.items ?? PathSystem.Kind.allCases {
            switch kind {
            case .direct: ready.append(.direct)
            case .culvert: ready += try (variant.isEmpty ? [.plain] : variant).map(PathSystem.culvert)
            case .wstunnel, .chisel, .frp:
                if let system = PathSystem.peer(kind, in: folders) {
                    ready.append(system)
                } else {
                    notes.append("\(kind.rawValue) is skipped: it is neither in PATH nor in --programs.")
                }
            }
        }
        return ready
    }
}
