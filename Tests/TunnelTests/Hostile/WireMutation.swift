import Foundation
import NIOCore
import TestSupport

@testable import Mux

/// Random changes of valid frames.
enum WireMutation {
    /// Mutates frames inside valid messages, or the bytes of the WebSocket.
    static func mutated(_ frames: [OutboundFrame], _ peer: WirePeer, _ generator: inout SplitMix) -> [UInt8] {
        if Bool.random(using: &generator) {
            return mutatedFrames(frames, &generator).flatMap { peer.webSocketFrame(2, Array($0.prefix(125))) }
        }
        var wire = frames.map(bytes).flatMap { peer.webSocketFrame(2, $0) }
        for _ in 0...2 { mutate(&wire, &generator) }
        return wire
    }

    /// Mutates frames, and repeats and moves some.
    static func mutatedFrames(_ frames: [OutboundFrame], _ generator: inout SplitMix) -> [[UInt8]] {
        var frames = frames.map(bytes)
        for _ in 0...2 {
            let index = Int.random(in: 0..<frames.count, using: &generator)
            mutate(&frames[index], &generator)
            if generator.next() % 3 == 0 { frames.swapAt(index, 0) }
            if generator.next() % 3 == 0 { frames.append(frames[index]) }
        }
        return frames
    }

    private static func bytes(_ frame: OutboundFrame) -> [UInt8] {
        var bytes = ByteBuffer()
        frame.writeHead(into: &bytes)
        bytes.writeImmutableBuffer(frame.payload)
        return Array(bytes.readableBytesView)
    }

    /// Changes, inserts, removes or repeats some bytes.
    private static func mutate(_ bytes: inout [UInt8], _ generator: inout SplitMix) {
        let start = Int.random(in: 0...bytes.count, using: &generator)
        let end = min(bytes.count, start + Int.random(in: 0...8, using: &generator))
        switch generator.next() % 4 {
        case 0:
            for index in start..<end { bytes[index] = UInt8.random(in: .min ... .max, using: &generator) }
        case 1: bytes.insert(UInt8.random(in: .min ... .max, using: &generator), at: start)
        case 2: bytes.removeSubrange(start..<end)
        default: bytes.insert(contentsOf: bytes[start..<end], at: start)
        }
    }
}

/// The sockets with one of `ports` as their local port: the server's connections and listeners.
func sockets(_ ports: [UInt16]) throws -> [String] {
    try socketTable("tcp").compactMap { row in
        ports.contains { row.isLocal($0) } && row.isOpen ? row.text : nil
    }
}

/// The sockets that lead to a port.
///
/// - Parameter transport: `tcp` or `udp`.
func sockets(to port: UInt16, _ transport: String) throws -> [String] {
    try socketTable(transport).compactMap { $0.leads(to: port) && $0.isOpen ? $0.text : nil }
}

private struct SocketRow {
    let fields: [Substring]

    /// Whether a process has the socket.
    var isOpen: Bool { fields[9] != "0" }
    var text: String { fields[1...3].joined(separator: " ") }
    func isLocal(_ port: UInt16) -> Bool { UInt16(fields[1].suffix(4), radix: 16) == port }
    func leads(to port: UInt16) -> Bool { UInt16(fields[2].suffix(4), radix: 16) == port }
}

private func socketTable(_ transport: String) throws -> [SocketRow] {
    // Reads to the end, because the kernel returns one page per read.
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/net/\(transport)"))
    let table = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    return table.split(separator: "\n").dropFirst().compactMap { row in
        let fields = row.split(separator: " ")
        return fields.count > 9 ? SocketRow(fields: fields) : nil
    }
}
