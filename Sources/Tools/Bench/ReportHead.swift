import Foundation

/// What must be known to read the tables: when, where, what was compared, and how.
struct ReportHead {
    let run: Run
    /// What was left out.
    let notes: [String]

    /// In Markdown.
    var text: String {
        var lines = [
            "# Culvert beside other tunnels", "",
            "\(Date.now.formatted(.iso8601)), Linux \(setting("kernel/osrelease")), "
                + "\(ProcessInfo.processInfo.activeProcessorCount) cores, loopback with "
                + "\(setting("net/ipv4/tcp_congestion_control")). Medians of \(run.rounds) round\(run.rounds == 1 ? "" : "s") of \(run.size.seconds) s, the systems in turn.",
            "All systems have that congestion control, the machine's own choice. BBR paces loopback; for a figure without it, "
                + "run the benchmark in a network namespace with another choice.",
            "",
            "**Only figures of one run compare**: the machine, and what else it does, are in all of them.", "",
            "Ratio: the first figure to that of `\(System.reference.rawValue)`; of times and sizes less is better. CPU and memory are those of the tunnel's "
                + "processes, both ends together; spread is the first figure's over the rounds. Faults are streams that "
                + "broke, stood still or had a wrong byte, and trials that came to nothing: there should be none.", "",
        ]
        lines += run.systems.map { "- `\($0.rawValue)`: \($0.summary)" }
        if run.workloads.contains(.proxied), run.systems.contains(.culvertProxy) {
            lines += [
                "",
                "The way through Squid and nginx has no equal without Culvert; there its processes are compared "
                    + "with those two of the same run.",
            ]
        }
        return (lines + notes.flatMap { ["", $0] }).joined(separator: "\n")
    }

    private func setting(_ name: String) -> String {
        (try? String(contentsOfFile: "/proc/sys/\(name)", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
    }
}
