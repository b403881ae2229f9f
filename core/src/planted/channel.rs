//! Bugs of the shared-memory channel and of the daemon's side of it.

macro_rules! channel {
    ($next:ident $($rest:ident)* [$($bugs:tt)*]) => {
        $next! { $($rest)* [ $($bugs)*
            /// A kick that the daemon has heard is not taken back: there is never another one.
            KickStaysRaised "kick-stays-raised",
            /// The floor of a stream that is over is nobody's any more.
            FloorKept "floor-kept",
            /// The stack is not told of a channel that was put out.
            EvictedStays "evicted-stays",
            /// The memory of a channel whose application is gone stays when its last stream is closed.
            MemoryOutlivesStreams "memory-outlives-streams",
            /// Of the bells that rang since the last look one is heard.
            OneBellIsHeard "one-bell-is-heard",
            /// The engine's bell is armed without a second look at the commands.
            SleepsOnCommands "sleeps-on-commands",
            /// A library of any major version is served.
            AnyVersionServed "any-version-served",
            /// The chunk that is being read goes back while there are more bytes in it.
            ChunkFreedWithBytes "chunk-freed-with-bytes",
            /// News of a stream that the application has heard is not taken back: there is never any again.
            ReadyStaysRaised "ready-stays-raised",
        ] }
    };
}
