import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Name lookups through `-L …/udp` and `-R …/udp`.
    @Suite(.serialized)
    struct ForwardLookupTests {
        @Test(
            "dig asks dnsmasq, and 10,000 lookups at 500 a second are all answered, each from a port of its own too",
            .needs(.dig, .dnsmasq),
            arguments: DatagramDirection.allCases,
            TestRun.isSlow ? [false, true] : [false]
        )
        func lookups(_ direction: DatagramDirection, _ hasOwnPorts: Bool) async throws {
            try await Scenario.run { scenario in
                let resolver = try FreePorts.next()
                let dnsmasq = try scenario.start(
                    "dnsmasq",
                    Program.dnsmasq.required(),
                    [
                        "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--port=\(resolver)",
                        "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts", "--pid-file=",
                        "--user=", "--address=/culvert.test/192.0.2.7",
                    ]
                )
                _ = try await dnsmasq.logLine { $0.contains("started") }
                let port = try await scenario.datagrams(to: resolver, direction).port
                let answer = try await scenario.run(
                    .dig,
                    ["+short", "+tries=1", "+time=20", "@127.0.0.1", "-p", "\(port)", "www.culvert.test"]
                )
                #expect(answer.trimmingCharacters(in: .whitespacesAndNewlines) == "192.0.2.7")
                guard TestRun.isSlow else { return }
                try await onThread {
                    var program = try UDPSocket()
                    let start = ContinuousClock.now
                    for number in 0..<10_000 {
                        if hasOwnPorts { program = try UDPSocket() }
                        try program.send(Self.query(UInt16(number)), to: port)
                        let reply = try program.receive().bytes
                        try require(reply.prefix(2) == Self.query(UInt16(number)).prefix(2), "reply \(number)")
                        Thread.sleep(until: Date(timeIntervalSinceNow: Self.pause(number, since: start)))
                    }
                }
            }
        }

        /// A DNS query for `www.culvert.test`, type A (RFC 1035, section 4.1).
        private static func query(_ number: UInt16) -> [UInt8] {
            let labels = ["www", "culvert", "test"].flatMap { [UInt8($0.utf8.count)] + $0.utf8 }
            return [UInt8(number >> 8), UInt8(number & 0xff), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + labels + [0, 0, 1, 0, 1]
        }

        /// Seconds until the lookup after `number` is due, at 500 a second.
        private static func pause(_ number: Int, since start: ContinuousClock.Instant) -> Double {
            let due = start + .milliseconds(2 * (number + 1))
            let rest = due - ContinuousClock.now
            return max(0, Double(rest.components.attoseconds) / 1e18 + Double(rest.components.seconds))
        }
    }
}
