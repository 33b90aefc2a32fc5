import Foundation
import Testing

@testable import Mux

/// Compares the tables of the pages SessionProtocol and SendingPolicy with the code.
@Suite("Limits on the pages of Mux")
struct ProtocolPageTests {
    private static let limits = MuxLimits()

    /// The first two columns of the table in section 9.
    private static let rows: [(limit: String, value: String)] = [
        ("payload of DATA (wire)", "\(grouped(MuxLimits.maximumData)) bytes"),
        ("payload of DATAGRAM (wire)", "\(grouped(MuxLimits.maximumDatagram)) bytes"),
        (
            "payload of other frames, and of all before the handshake is done (wire)",
            "\(grouped(MuxLimits.maximumControl)) bytes"
        ),
        ("streams at a time, of each opener", grouped(limits.streams)),
        ("OPENs without ACCEPT, of each opener", grouped(limits.opening)),
        ("time from OPEN to ACCEPT", seconds(limits.openTimeout)),
        (
            "time that RESET waits behind DATA, and that a socket has for the bytes before it",
            seconds(limits.resetPatience)
        ),
        ("queued bytes without credit behind which RESET waits", "the peer's initial window"),
        ("initial window", "\(grouped(limits.initialWindow)) bytes"),
        ("widest window", mebibytes(limits.maximumWindow)),
        ("received bytes that no socket has accepted, all streams", mebibytes(limits.bufferedBytes)),
        (
            "sent and unacknowledged bytes of all lanes, with \(MuxLimits.frameCost) for each frame",
            mebibytes(limits.replayBytes)
        ),
        ("lanes of a session", "the server's choice, at least 1; 8 here"),
        (
            "one stream's bytes that wait for the carrier",
            "\(grouped(limits.queuedPerStream)); any, once \(mebibytes(limits.queuedBytes / 2)) wait in all"
        ),
        ("all streams' bytes that wait for the carrier", mebibytes(limits.queuedBytes)),
        (
            "datagrams of one flow that wait for the carrier",
            "\(DatagramQueue.maximumCount), \(DatagramQueue.maximumBytes / 1_024) KiB, "
                + "\(Int(DatagramQueue.maximumAge / .milliseconds(1))) ms"
        ),
        ("datagrams of all flows that wait for the carrier", mebibytes(MuxLimits.waitingDatagrams)),
        ("control frames that wait for the carrier", grouped(limits.waitingControl)),
        (
            "bytes received without an ACK",
            "\(grouped(limits.ackBytes)), or \(Int(limits.ackDelay / .milliseconds(1))) ms"
        ),
        ("PINGs in ten seconds on one carrier", grouped(limits.pingsInTenSeconds)),
        ("tolerated anomalies in ten seconds", grouped(limits.glitchesInTenSeconds)),
        ("tunnels in a session", grouped(limits.tunnels)),
        ("BINDs and STATEs in ten seconds", grouped(limits.bindsInTenSeconds)),
        ("RENEWs in ten seconds", grouped(MuxLimits.renewalsInTenSeconds)),
        ("time without a carrier", seconds(limits.grace)),
        ("time without an ACK while frames are in flight", seconds(limits.ackPatience)),
    ]

    /// The table of the page SendingPolicy.
    private static let policy: [(limit: String, value: String)] = [
        ("window at the start of a carrier", "\(grouped(MuxLimits.bytesInFlight.first)) bytes"),
        ("smallest window beside interactive streams", "\(grouped(MuxLimits.bytesInFlight.least)) bytes"),
        ("smallest window for bulk alone, and in startup", "\(grouped(MuxLimits.bytesInFlight.leastAlone)) bytes"),
        ("largest quantum", "\(grouped(MuxLimits.quantum)) bytes"),
        ("bytes up to which a stream is interactive", "\(grouped(MuxLimits.interactive.bytes)) bytes"),
        ("bytes beyond the window for interactive streams", "\(grouped(MuxLimits.interactive.reserve)) bytes"),
        ("interactive frames in a row", "\(MuxLimits.interactive.frames)"),
        (
            "DATA of a shared path below \(Int(CongestionWindow.fast / 1e6)) MB/s",
            "\(grouped(MuxLimits.sharedData)) bytes"
        ),
    ]

    @Test("the table of section 9 has each limit with the value of the code, and no other")
    func limitsOfSection9() throws {
        try compare("SessionProtocol", after: "\n## 9. Limits\n", with: Self.rows)
    }

    @Test("the table of the sending policy has the values of the code")
    func sendingPolicy() throws {
        try compare("SendingPolicy", after: "\n| limit | default |\n", with: Self.policy, headerRows: 1)
    }

    /// Compares the first table behind `marker` with the expected rows.
    private func compare(
        _ name: String,
        after marker: String,
        with rows: [(limit: String, value: String)],
        headerRows: Int = 2
    ) throws {
        let path = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/Mux/Mux.docc/\(name).md").path
        let page = try String(contentsOfFile: path, encoding: .utf8)
        let section = try #require(page.range(of: marker))
        let shown = page[section.upperBound...].split(separator: "\n", omittingEmptySubsequences: false)
            .drop { !$0.hasPrefix("|") }.prefix { $0.hasPrefix("|") }.dropFirst(headerRows)
            .map { $0.split(separator: "|").prefix(2).map { $0.trimmingCharacters(in: .whitespaces) } }
        let expected = rows.map { [$0.limit, $0.value] }
        for row in expected where !shown.contains(row) { Issue.record("the page lacks: \(row)") }
        for row in shown where !expected.contains(row) { Issue.record("the code lacks: \(row)") }
        #expect(shown.count == expected.count)
    }

    private static func seconds(_ duration: Duration) -> String { "\(Int(duration / .seconds(1))) s" }

    private static func mebibytes(_ count: Int) -> String { "\(count >> 20) MiB" }

    /// `65,536`.
    private static func grouped(_ number: Int) -> String {
        number < 1_000
            ? "\(number)" : grouped(number / 1_000) + "," + String(String(1_000 + number % 1_000).dropFirst())
    }
}
