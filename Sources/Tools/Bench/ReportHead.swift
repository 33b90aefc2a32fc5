import Foundation

/// The head of the report: date, machine, systems and method.
struct ReportHead {
    let run: Run
    /// Notes about what was left out.
    let notes: [String]

    /// The head in Markdown.
    var text: String {
        var lines = [
            "# Culvert beside other tunnels", "",
            "\(Date.now.formatted(.iso8601)), Linux \(Self.setting("kernel/osrelease")), "
                + "\(ProcessInfo.processInfo.activeProcessorCount) cores, loopback with "
                + "\(Self.setting("net/ipv4/tcp_congestion_control")). Medians of \(run.rounds) round\(run.rounds == 1 ? "" : "s") of \(run.size.seconds) s, the systems in turn.",
            "All systems use the machine's congestion control.",
            "",
            "**Compare only figures of one run**: the machine and its other work affect all of them.", "",
            "Ratio: the first figure relative to that of `\(Workload.download.reference.rawValue)`, or `\(Workload.datagrams.reference.rawValue)` for datagrams; less is better for times and sizes. CPU and memory are those of the tunnel's "
                + "processes, both ends together. Spread is that of the first figure over the rounds. Faults are streams "
                + "that broke, stalled or had a wrong byte, and trials that failed; there should be none.", "",
        ]
        lines += run.systems.map { "- `\($0.rawValue)`: \($0.summary)" }
        if run.workloads.contains(.proxied), run.systems.contains(.culvertProxy) {
            lines += [
                "",
                "No other system goes through Squid and nginx. Culvert's processes are compared with those two of "
                    + "the same run.",
            ]
        }
        return (lines + notes.flatMap { ["", $0] }).joined(separator: "\n")
    }

    /// A setting of the kernel.
    static func setting(_ name: String) -> String {
        (try? String(contentsOfFile: "/proc/sys/\(name)", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
    }
}
