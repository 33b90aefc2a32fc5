/// What is passed on before the loop's turn ends, so that the other end works on it while this one goes on, or that who
/// waits for it does not wait for copies too. All else that the turn brings shares few writes at the end of it.
///
/// Pure: it is told what has come and what was written.
package struct FlushPolicy {
    /// Pieces from sockets after which the carrier is written. Sixteen: a tenth more round trips of 64 connections.
    private static let pieces = 16
    /// How often within one turn the carrier is written at once for bytes that somebody may wait for, since copies would
    /// have the loop before them otherwise. Four: beyond that they share a write at the end of the turn.
    private static let mostPumps = 4
    /// Sockets with something to write after which they are written before the carrier is read to its end.
    private static let sockets = 8
    /// How often within one read: a peer that sends single bytes on eight streams must not cost a system call for each.
    private static let mostFlushes = 32
    /// The services, of those joined between two ends of reads, after which the carrier is written: the other end looks out
    /// for what follows then. From the sixth on, with which visitors who come and go by sixteen are an eighth more; with the
    /// second, those who come by fours were a twentieth fewer. To the sixteenth: where they come by 64, what is written for
    /// more of them costs a tenth more of the processor.
    private static let told = stride(from: 6, through: 16, by: 2)

    private var piecesSincePump = 0
    private var joinedInRead = 0
    private var pumpsOfTurn = 0
    private var flushesOfRead = 0

    /// Whether a piece has come since the carrier was written.
    package var hasPiece: Bool { piecesSincePump > 0 }

    /// A socket has brought a piece.
    package mutating func brings() {
        piecesSincePump += 1
    }

    /// Whether the carrier is to be written at once.
    ///
    /// - Parameter isAwaited: the piece that has just come is short, and copies would go before it.
    package mutating func pumps(isAwaited: Bool) -> Bool {
        if piecesSincePump >= Self.pieces { return true }
        guard isAwaited, pumpsOfTurn < Self.mostPumps else { return false }
        pumpsOfTurn += 1
        return true
    }

    /// A service has been joined to its stream; says whether the carrier is to be written at once.
    package mutating func joins() -> Bool {
        joinedInRead += 1
        return Self.told.contains(joinedInRead)
    }

    /// The carrier is written.
    package mutating func pumped() {
        piecesSincePump = 0
    }

    /// The turn is over.
    package mutating func turnEnds() {
        pumpsOfTurn = 0
    }

    /// Whether so many sockets are to be written at once.
    ///
    /// - Parameter isServiceNext: a service is about to be connected to, which takes longer than to write to a few.
    package mutating func flushes(_ count: Int, isServiceNext: Bool = false) -> Bool {
        guard count >= (isServiceNext ? 1 : Self.sockets), flushesOfRead < Self.mostFlushes else { return false }
        flushesOfRead += 1
        return true
    }

    /// The carrier is read to its end.
    package mutating func readEnds() {
        flushesOfRead = 0
        joinedInRead = 0
    }
}
