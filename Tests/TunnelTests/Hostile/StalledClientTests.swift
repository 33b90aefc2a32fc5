import Foundation
import Mux
import NIOCore
import TestSupport
import Testing

extension HostileTests {
    /// An authenticated client that stops reading.
    @Suite(.serialized)
    struct StalledClientTests {
        @Test("X8 a client that stops reading with acknowledgements due makes no thread spin", .tags(.slow))
        func noSpinning() async throws {
            // Only the carrier may block the server.
            try await RunningServer.with({ $0.limits.replayBytes = 1 << 28 }) { server in
                try await onThread {
                    let port = try FreePorts.next()
                    let peer = try WirePeer.session(server.port, .alice, window: .max, receiveBuffer: 8_192)
                    let refusal = try peer.bind(port)
                    try require(refusal == nil, "the port was refused: \(String(describing: refusal))")
                    let visitor = try TCPSocket(port: port)
                    let stream = try peer.frame(.open).header.stream
                    try peer.send(OutboundFrame(.accept, stream))
                    let chunk = [UInt8](repeating: 0x78, count: 65_536)
                    let most = 1 << 26
                    let sent = try visitor.sendUntilStalled(chunk, timeout: .milliseconds(300), limit: most)
                    try require(sent < most, "the visitor was never blocked")
                    // An ACK is due now, and cannot be sent.
                    try peer.send(OutboundFrame(.data, stream, ByteBuffer(string: "counted")))
                    let before = try processorTime()
                    // Measures the processor time of the event loops while the carrier is blocked.
                    Thread.sleep(forTimeInterval: 1.5)
                    let spent = try processorTime() - before
                    try require(spent < 0.5, "\(spent) s of processor time in 1.5 s without progress")
                    // The other direction still works.
                    let reply = try visitor.receive(exactly: 7)
                    try require(reply == Array("counted".utf8), "the visitor received \(reply)")
                    visitor.abort()
                    peer.socket.abort()
                }
            }
        }
    }
}

/// The processor time of this process's event loops in seconds. Other suites run in other threads.
private func processorTime() throws -> Double {
    let tasks = "/proc/self/task"
    var (loops, ticks) = (0, 0)
    for task in try FileManager.default.contentsOfDirectory(atPath: tasks) {
        // A thread may end during the loop, but an event loop does not.
        guard let line = try? String(contentsOfFile: "\(tasks)/\(task)/stat", encoding: .utf8),
            let end = line.lastIndex(of: ")"), line[..<end].contains("(NIO-")
        else { continue }
        loops += 1
        let fields = line[end...].split(separator: " ")
        ticks += (Int(fields[12]) ?? 0) + (Int(fields[13]) ?? 0)
    }
    try require(loops > 0, "no event loop was found")
    return Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
}
